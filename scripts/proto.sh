#!/usr/bin/env bash
# Writes the Python code of every message, and of the one service, beside its .proto file.
# proto.sh [SOURCE [TARGET]]: both default to proto/.
set -euo pipefail
cd "$(dirname "$0")/.."
source=${1:-proto} target=${2:-proto} bin=${VENV:-.venv}/bin
export PATH="$bin:$PATH"
protoc() { "$bin/python" -m grpc_tools.protoc -I "$source" "$@"; }
protoc --python_out="$target" --mypy_out="quiet:$target" "$source"/microex/v1/*.proto
protoc --grpc_python_out="$target" --mypy_grpc_out="quiet:$target" "$source"/microex/v1/recognizer.proto
