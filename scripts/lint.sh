#!/usr/bin/env bash
# What is checked without running anything: formatting, clippy, rustdoc, shell scripts, the repository's own rules.
. "$(dirname "$0")/env.sh"

step() {
    local started=$SECONDS
    printf '\n== %s\n' "$1"
    "${@:2}"
    printf '== %s: %d s\n' "$1" "$((SECONDS - started))"
}

rustdoc() { RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --all-features --no-deps --document-private-items; }

tracked() { git ls-files --cached --others --exclude-standard -- "$@"; }

# A statement or a script that nobody includes is dead, and nothing else would tell. It is named whole
# ("queries/sweep.sql"), or by its stem alone ("claim") where a macro of its module adds the rest.
all_sql_and_lua_is_used() {
    local file name module dead=0
    while read -r file; do
        case $file in migrations/*) continue ;; esac
        name=${file##*/}
        module=$(dirname "$(dirname "$file")")
        if ! tracked '*.rs' | xargs -r -d '\n' grep -qF -e "/$name\"" -e "\"$name\"" &&
            ! grep -rqF --include='*.rs' -e "\"${name%.*}\"" "$module"; then
            echo "no Rust file includes $file"
            dead=1
        fi
    done < <(tracked '*.sql' '*.lua')
    return "$dead"
}

# Paths of somebody's machine have no meaning on another one.
no_machine_paths() {
    local pattern='(^|[^[:alnum:]_./-])/(wor[k]|roo[t]|hom[e])/[[:alnum:]_.-]'
    if tracked ':!*.png' ':!*.svg' | xargs -r -d '\n' grep -nIE -e "$pattern" --; then
        return 1
    fi
}

shell_scripts() {
    if has shellcheck; then
        shellcheck --external-sources --source-path=SCRIPTDIR scripts/*.sh .ci/run
    else
        echo "shellcheck is not installed: skipped"
    fi
}

dockerfiles() {
    if has hadolint; then
        hadolint docker/*.Dockerfile
    else
        echo "hadolint is not installed: skipped"
    fi
}

scripts/install.sh --build --kafka
. scripts/env.sh
step "formatting" cargo fmt --all --check
step "clippy" cargo clippy --locked --workspace --all-features --all-targets -- -D warnings
step "rustdoc" rustdoc
step "every .sql and .lua file is used" all_sql_and_lua_is_used
step "no paths of a machine" no_machine_paths
step "shell scripts" shell_scripts
step "Dockerfiles" dockerfiles
