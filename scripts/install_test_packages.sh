#!/usr/bin/env bash
# Installs the Debian packages that the tests use. Without root it installs nothing: the tests that need one skip.
set -euo pipefail

needed=()
command -v mount >/dev/null || needed+=(mount)
command -v useradd >/dev/null || needed+=(passwd)
command -v setpriv >/dev/null || needed+=(util-linux)

if [ ${#needed[@]} -eq 0 ]; then exit 0; fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "The tests that need ${needed[*]} will skip: only root can install them." >&2
    exit 0
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${needed[@]}"
