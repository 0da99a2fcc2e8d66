#!/usr/bin/env bash
# Installs Debian packages whose command or shared library is missing: install_packages.sh NAME=PACKAGE…
# Without root it installs nothing and says what will be missing.
set -euo pipefail

is_there() {
    case "$1" in
        *.so.*) python3 -c 'import ctypes, sys; ctypes.CDLL(sys.argv[1])' "$1" 2>/dev/null ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

needed=()
for pair in "$@"; do
    is_there "${pair%%=*}" || needed+=("${pair#*=}")
done

if [ ${#needed[@]} -eq 0 ]; then exit 0; fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "Missing, and only root can install them: ${needed[*]}. What needs them is skipped or fails." >&2
    exit 0
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${needed[@]}"
