/** The script by which a host keeps the revocation list of client certificates fresh. */

/** What makes the service read the list again; an admin whose service is another puts that in its place. */
export const RELOAD = 'systemctl try-reload-or-restart nginx';

/**
 * POSIX sh. Ends with 0 if the list in place is the broker's newest and the service was told, else says why on stderr and leaves
 * the last good one. `folder` holds the CA's certificate as ca.pem; the list is put there as crl.pem.
 */
export function crlScript(folder: string, url: string, reload = RELOAD): string {
  return `#!/bin/sh
# Pulls the list of revoked client certificates and puts it where the service looks, if the CA has signed it, it is valid now and
# not older than the last one. A service refuses everybody without a readable list that is still valid: the swap is one rename,
# and whatever fails before it leaves the last good list in place.
set -eu
umask 022
export LC_ALL=C
dir='${folder}'
url='${url}'
# What makes the service read the list again.
reload='${reload}'

fail() {
  echo "oncall-crl: $1" >&2
  exit 1
}

# Whether a list would do: the service checks the same, only that it refuses everybody where this says no.
is_good() {
  openssl verify -no-CApath -no-CAstore -CAfile "$dir/ca.pem" -crl_check -CRLfile "$1" "$dir/ca.pem" > /dev/null 2>&1
}

# The mark outlives a reload that failed, and a crash before it.
tell_service() {
  if [ ! -e "$dir/reload-due" ]; then return 0; fi
  $reload || fail 'the list is in place, but the service could not be told'
  rm -f "$dir/reload-due"
}

work=$(mktemp -d "$dir/.pull.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# What counts is the CA's signature, checked below, not the broker's TLS certificate, which this host has no way to know: hence
# --insecure.
curl --silent --show-error --fail --insecure --max-time 10 --max-filesize 8388608 \\
  --output "$work/crl.der" "$url" || fail 'the broker did not answer; the last good list stays'
openssl crl -inform DER -in "$work/crl.der" -out "$work/crl.pem" 2> /dev/null || fail 'not a list; the last good one stays'
is_good "$work/crl.pem" || fail 'the list is not signed by the CA, or not valid now; the last good one stays'

number=$(openssl crl -in "$work/crl.pem" -noout -crlnumber | sed -n 's/^crlNumber=\\(0x\\)\\{0,1\\}\\([0-9A-F]\\{1,15\\}\\)$/\\2/p')
test -n "$number" || fail 'the list has no number; the last good one stays'
number=$((0x$number))
last=$(sed -n 's/^\\([0-9]\\{1,19\\}\\)$/\\1/p' "$dir/crl.number" 2> /dev/null || true)
test "$number" -ge "\${last:-0}" || fail "number $number is older than $last; the last good list stays"
if [ "$number" = "$last" ] && is_good "$dir/crl.pem"; then
  tell_service
  exit 0
fi

# The number first: after a crash in between, the newer list is pulled again, and an older one is not taken.
echo "$number" > "$work/number"
sync "$work/crl.pem" "$work/number"
mv -f "$work/number" "$dir/crl.number"
: > "$dir/reload-due"
mv -f "$work/crl.pem" "$dir/crl.pem"
tell_service
`;
}
