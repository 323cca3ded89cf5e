#!/bin/sh
# Builds the judge of one Talos minor: build.sh 1.13 → prints the program's path. Built once per set of sources,
# under artifacts/, which git ignores. Modules come the way this machine's go command is set up.
set -eu
minor=$1
here=$(cd "$(dirname "$0")" && pwd)
module=$here/modules/$minor
folder=$here/../../../artifacts/talos-judge/$minor
set -- "$here"/*.go "$module"/go.mod "$module"/go.sum
[ "${minor#1.}" -lt 12 ] || set -- "$@" "$here"/since-1.12/*.go
key=$(cat "$@" | sha256sum | cut -c1-16)
program=$folder/judge-$key
if [ ! -x "$program" ]; then
    work=$folder/build-$$
    mkdir -p "$work"
    trap 'rm -rf "$work"' EXIT
    cp "$@" "$work/"
    (cd "$work" && go build -mod=readonly -trimpath -ldflags='-s -w' -o judge .) >&2
    mv "$work/judge" "$program"
fi
echo "$program"
