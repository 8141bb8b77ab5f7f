#!/usr/bin/env bash
# Installs what the browser tests need: Playwright for Python into .venv, and Chromium where this machine has none.
# Chromium comes from the system's own packages where apt is there (it asks for root), else from Playwright.
set -euo pipefail
cd "$(dirname "$0")/.."
VENV=${VENV:-.venv}
say() { printf 'browser: %s\n' "$*"; }

say "Playwright into $VENV"
"$VENV/bin/python" -m pip --disable-pip-version-check install -qq -c constraints.txt -e '.[browser]'
for name in chromium chromium-browser google-chrome; do
  if command -v "$name" >/dev/null; then
    say "$(command -v "$name") is there"
    exit 0
  fi
done
if command -v apt-get >/dev/null && apt-cache show chromium >/dev/null 2>&1; then
  say "apt-get install chromium fonts-dejavu-core; about 300 MB, as root"
  sudo=$([ "$(id -u)" = 0 ] || echo sudo)
  $sudo apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null
else
  say "playwright install chromium: a download of Playwright's own build, into ~/.cache/ms-playwright"
  "$VENV/bin/python" -m playwright install chromium
fi
say "ready"
