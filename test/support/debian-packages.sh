#!/bin/sh
# Installs the Debian packages named as arguments, as root, and starts none of their services.
#
# A script of its own so that it outlives a test run killed half-way: the trap then still gives the machine its
# policy-rc.d back. If even this script was killed, the next one repairs what it left, before anything else.
set -eu

policy=/usr/sbin/policy-rc.d
saved=/usr/sbin/policy-rc.d.saved-by-oncall-tests
marker='written by the tests of oncall'
log=$(mktemp)

give_policy_back() {
  if [ -e "$saved" ] || [ -L "$saved" ]; then
    mv -fT "$saved" "$policy"
  elif grep -qs "$marker" "$policy"; then
    rm -f "$policy"
  fi
}
finish() {
  give_policy_back
  rm -f "$log"
}
quietly() { # prints the output of a failed command only; the lock (9) is not for its children
  "$@" >"$log" 2>&1 9>&- || {
    code=$?
    cat "$log" >&2
    return $code
  }
}

exec 9>/run/oncall-test-packages.lock
flock 9
trap finish EXIT
trap 'exit 130' INT TERM HUP
give_policy_back

# Another run may have installed them while this one waited for the lock.
missing=
for package in "$@"; do
  dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
echo "oncall tests: installing Debian packages:$missing (no service is started)"

if [ -e "$policy" ] || [ -L "$policy" ]; then mv -fT "$policy" "$saved"; fi
printf '#!/bin/sh\n# %s; taken away when their packages are installed\nexit 101\n' "$marker" >"$policy"
chmod 755 "$policy"

export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 RUNLEVEL=1 LC_ALL=C
# One broken source among several must not stop us: what counts is whether the packages can be installed.
quietly apt-get -q update || echo 'oncall tests: apt-get update failed, going on with the lists that are here' >&2
# shellcheck disable=SC2086 # a list of names
quietly apt-get -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold install $missing
dpkg-query -W -f='oncall tests: installed ${Package} ${Version}\n' $missing
