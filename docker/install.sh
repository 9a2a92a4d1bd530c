#!/bin/sh
# The install steps of the image: carlens, its weights and its locked dependencies into a virtual environment of their
# own, then a check that the command starts. The Dockerfile runs it; run by hand, it rehearses the image:
#   docker/install.sh /tmp/carlens-image requirements.txt
set -eu
target=${1:?usage: docker/install.sh TARGET_FOLDER [LOCK_FILE]}
lock=${2:-requirements.txt}
source=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}

"$python" -m venv "$target"
"$target/bin/python" -m pip install --no-cache-dir --no-compile --requirement "$source/$lock"

# Built from a copy, because a build writes into its folder.
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -R "$source/pyproject.toml" "$source/README.md" "$source/LICENSE" "$source/app" "$source/models" "$source/training" "$copy"
"$target/bin/python" -m pip install --no-cache-dir --no-deps --no-build-isolation "$copy"

cd /
"$target/bin/carlens" --version
"$target/bin/carlens" models
