#!/bin/sh
# Installs the Debian packages that some tests need. Only as root; without root those tests skip and say so.
set -eu
packages="openssh-server openssh-client avahi-daemon iproute2 zstd gdisk dosfstools xfsprogs mtools chromium"
# The bootable image: to build it, and to boot it.
packages="$packages mmdebstrap squashfs-tools xorriso grub-common grub-pc-bin grub-efi-amd64-bin kmod"
packages="$packages qemu-system-x86 ovmf dnsmasq-base zbar-tools qrencode"
# A software TPM, for the key that machines are known by.
packages="$packages swtpm tpm2-tools"
# What an air-gapped site keeps its container images in.
packages="$packages docker-registry"
missing=""
for package in $packages; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "Not root: tests that need$missing will be skipped, with a count." >&2
  exit 0
fi
echo "Installing$missing…" >&2
# A test machine must not start these as services.
printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d
trap 'rm -f /usr/sbin/policy-rc.d' EXIT
apt-get update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
