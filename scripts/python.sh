#!/usr/bin/env bash
# Python tools that tests use (a mail server, a reader of YAML), in an environment of their own. Quick when nothing is missing; prints
# where its python is.
. "$(dirname "$0")/env.sh"

wanted="aiosmtpd==1.4.6 pyyaml==6.0.3"
python_dir=$tools_dir/python
python=$python_dir/bin/python

mkdir -p "$tools_dir"
# Tests run side by side: one of them makes it, the others wait.
exec 9>"$tools_dir/python.lock"
! has flock || flock 9
if [ "$(cat "$python_dir/installed" 2>/dev/null)" != "$wanted" ] || ! "$python" -c '' 2>/dev/null; then
    scripts/install.sh --python >&2
    rm -rf "$python_dir"
    python3 -m venv "$python_dir" >&2
    # shellcheck disable=SC2086 # a list
    "$python_dir/bin/pip" install --quiet --disable-pip-version-check $wanted >&2
    echo "$wanted" >"$python_dir/installed"
fi
echo "$python"
