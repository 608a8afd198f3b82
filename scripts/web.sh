#!/usr/bin/env bash
# Builds the web pages into web/dist, as far as something has changed.
#   scripts/web.sh            packages and pages
#   scripts/web.sh packages   packages only
. "$(dirname "$0")/env.sh"
cd web

# `npm ci` removes node_modules first, so the stamp is there only when it came to its end.
stamp=node_modules/.installed
wanted="$(node --version) $(cksum <package-lock.json)"
if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    say "installing the packages of web/"
    npm ci --no-audit --no-fund --loglevel=error </dev/null
    echo "$wanted" >"$stamp"
fi
[ "${1:-}" != packages ] || exit 0

inputs=(index.html package.json package-lock.json src)
for more in public messages project.inlang ./*.config.* tsconfig.json; do
    [ ! -e "$more" ] || inputs+=("$more")
done
if [ ! -e dist/index.html ] || [ -n "$(find "${inputs[@]}" -newer dist/index.html -print -quit)" ]; then
    say "building the web pages"
    npm run --silent build </dev/null
fi
