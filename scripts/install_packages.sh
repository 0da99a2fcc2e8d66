#!/usr/bin/env bash
# Installs Debian packages whose command is missing: install_packages.sh COMMAND=PACKAGE…
# Without root it installs nothing and says what will be missing.
set -euo pipefail

needed=()
for pair in "$@"; do
    command -v "${pair%%=*}" >/dev/null || needed+=("${pair#*=}")
done

if [ ${#needed[@]} -eq 0 ]; then exit 0; fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "Missing, and only root can install them: ${needed[*]}. What needs them is skipped or fails." >&2
    exit 0
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${needed[@]}"
