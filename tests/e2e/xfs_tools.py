"""losetup, mount and umount for a kernel that has no loop devices: real XFS, made and read by xfsprogs. Linux only.

A "loop device" is a copy of the range, put back when it is detached. A "mounted" file system is a folder, made
into XFS again when it is unmounted. Only what the commands that make STATE ask for is there.
"""

from pathlib import Path

LOSETUP = """#!/bin/sh
set -e
work=$(dirname "$0")/work
case "$1" in
-j)
  for each in "$work"/*.loop; do
    [ ! -e "$each" ] || echo "$each: []: ($2)"
  done
  ;;
-d)
  . "$2.about"
  [ -n "$only" ] || dd if="$2" of="$disk" bs=1M oflag=seek_bytes seek="$offset" conv=notrunc status=none
  rm "$2" "$2.about"
  ;;
*)
  only=
  while [ $# -gt 1 ]; do
    case "$1" in
    --offset) offset=$2; shift ;;
    --sizelimit) size=$2; shift ;;
    --read-only) only=yes ;;
    esac
    shift
  done
  loop=$(mktemp "$work/XXXXXX.loop")
  printf "disk='%s' offset=%s only=%s" "$1" "$offset" "$only" > "$loop.about"
  dd if="$1" of="$loop" bs=1M iflag=skip_bytes,count_bytes skip="$offset" count="$size" status=none
  echo "$loop"
  ;;
esac
"""
MOUNT = """#!/bin/sh
set -e
case " $* " in *norecovery*) shift 2 ;; esac
loop=$3 folder=$4
[ "$(head -c 4 "$loop")" = XFSB ] || exit 32
echo "$loop" > "$folder.mounted"
ask() { xfs_db -r -c "path /config.yaml" "$@" "$loop" 2>/dev/null; }
size=$(ask -c "print core.size" | sed -n 's/^core.size = //p')
[ -n "$size" ] || exit 0
ask -c bmap | sed -n 's/.*(0.\\([0-9]*\\)) count \\([0-9]*\\) .*/\\1 \\2/p' | while read -r start blocks; do
  dd if="$loop" bs=4096 skip="$start" count="$blocks" status=none
done | head -c "$size" > "$folder/config.yaml"
chmod "$(ask -c "print core.mode" | sed -n 's/^core.mode = 0100//p')" "$folder/config.yaml"
"""
UMOUNT = """#!/bin/sh
set -e
loop=$(cat "$1.mounted" 2>/dev/null) || exit 32
rm "$1.mounted"
. "$loop.about"
[ -z "$only" ] || exit 0
{
  printf '/none\\n0 0\\nd--755 0 0\\n'
  [ ! -e "$1/config.yaml" ] || echo "config.yaml ---$(stat -c %a "$1/config.yaml") 0 0 $1/config.yaml"
  echo '$'
} > "$loop.files"
mkfs.xfs -q -f -L "$(xfs_db -r -c label "$loop" | sed -n 's/^label = "\\(.*\\)"/\\1/p')" -p "$loop.files" "$loop"
rm "$loop.files"
"""


def install(folder: Path) -> Path:
    """A folder for the front of PATH."""
    tools = {"losetup": LOSETUP, "mount": MOUNT, "umount": UMOUNT, "blockdev": "#!/bin/sh\n"}
    (folder / "work").mkdir(parents=True)
    for name, text in tools.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder
