#!/bin/sh
# Prints the Pythons found, newest first, one a line: VERSION PATH.
#   find_python.sh               every one of the supported versions
#   find_python.sh 3.12 3.13     these only
# Looks at pyenv's versions first (its shims claim names that they cannot run), then at PATH.
[ $# -gt 0 ] || set -- 3.13 3.12 3.11
pyenv=${PYENV_ROOT:-$HOME/.pyenv}
for version in "$@"; do
    for python in $(ls -d "$pyenv/versions/$version".*/bin/python3 2>/dev/null | sort -rV) \
        "$(command -v "python$version" 2>/dev/null)" "$(command -v python3 2>/dev/null)"; do
        [ -n "$python" ] || continue
        # A candidate counts only if it runs, is this version, and can make a venv.
        if [ "$("$python" -c 'import sys, venv, ensurepip; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$version" ]; then
            echo "$version $python"
            break
        fi
    done
done
