# Sourced by ./kvasir and ./test: finds a .NET 10 SDK, or installs the one that global.json pins into .dotnet/.
find_sdk() {
  for candidate in "$root/.dotnet/dotnet" "$(command -v dotnet || true)" "${DOTNET_ROOT:-}/dotnet" "$HOME/.dotnet/dotnet" /usr/share/dotnet/dotnet /usr/lib/dotnet/dotnet; do
    if [ -x "$candidate" ] && "$candidate" --list-sdks 2>/dev/null | grep -q '^10\.'; then
      dotnet=$candidate
      return 0
    fi
  done
  return 1
}

install_sdk() {
  echo "No .NET 10 SDK found: installing one into $root/.dotnet (about 250 MB, once)." >&2
  mkdir -p "$root/.dotnet"
  if ! curl -fsSL --retry 3 https://dot.net/v1/dotnet-install.sh -o "$root/.dotnet/dotnet-install.sh"; then
    echo "Could not download the installer from https://dot.net. Install the .NET 10 SDK by hand and run this again." >&2
    exit 1
  fi
  bash "$root/.dotnet/dotnet-install.sh" --jsonfile "$root/global.json" --install-dir "$root/.dotnet" --no-path >&2 || exit 1
  dotnet=$root/.dotnet/dotnet
}

# Invariant globalization: a bare machine has no ICU, and the SDK would refuse to start without it.
export DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1 DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_SKIP_FIRST_TIME_EXPERIENCE=1
find_sdk || install_sdk
DOTNET_ROOT=$(dirname "$(readlink -f "$dotnet")")
export DOTNET_ROOT

# Builds a project or solution in Release, in silence unless it fails.
build() {
  log=$(mktemp)
  if ! "$dotnet" build "$1" -c Release -nologo -v quiet -clp:NoSummary >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    echo "The build failed; the messages above say where." >&2
    exit 1
  fi
  rm -f "$log"
}
