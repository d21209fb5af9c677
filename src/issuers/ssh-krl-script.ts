/** The script by which a host keeps its SSH revocation list fresh. */

/**
 * POSIX sh. Ends with 0 if the list in place is the broker's newest, else says why on stderr and leaves the last good one.
 * `url` serves the list; the document that `createSignedKrl` makes is at `url` + `.sig`.
 */
export function krlScript(folder: string, url: string): string {
  return `#!/bin/sh
# Pulls the broker's SSH revocation list and puts it where sshd looks, if the broker has signed it and it is not older than
# the last one. sshd refuses everybody without a readable list: the swap is one rename, and whatever fails before it leaves
# the last good list in place.
set -eu
umask 022
export LC_ALL=C
dir='${folder}'
url='${url}'

fail() {
  echo "oncall-krl: $1; the last good list stays" >&2
  exit 1
}

work=$(mktemp -d "$dir/.pull.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# Both over one connection, so from one broker where there are several. What counts is the broker's signature, checked
# below, not its TLS certificate, which this host has no way to know: hence --insecure.
curl --silent --show-error --fail --insecure --max-time 10 --max-filesize 8388608 \\
  --output "$work/sig" "$url.sig" --output "$work/krl" "$url" || fail 'the broker did not answer'

head -n 5 "$work/sig" > "$work/signed"
sed -n '6s/^signature //p' "$work/sig" | base64 -d > "$work/signature" 2>/dev/null || fail 'no signature'
openssl pkeyutl -verify -pubin -inkey "$dir/broker-identity.pem" -rawin -in "$work/signed" \\
  -sigfile "$work/signature" > /dev/null 2>&1 || fail 'the signature is not the broker'"'"'s'

test "$(sed -n '1p;2p' "$work/signed")" = "$(printf 'oncall-krl/v1\\nlist ssh')" || fail 'not a revocation list'
number=$(sed -n '3s/^number \\([0-9]\\{1,15\\}\\)$/\\1/p' "$work/signed")
sum=$(sed -n '5s/^sha256 \\([0-9a-f]\\{64\\}\\)$/\\1/p' "$work/signed")
test -n "$number" && test -n "$sum" || fail 'a line is missing'
echo "$sum  $work/krl" | sha256sum -c --status - || fail 'the list is not the one that was signed'

last=$(sed -n 's/^\\([0-9]\\{1,15\\}\\)$/\\1/p' "$dir/krl.number" 2>/dev/null || true)
test "$number" -ge "\${last:-0}" || fail "number $number is older than $last"
ssh-keygen -Q -l -f "$work/krl" > /dev/null 2>&1 || fail 'ssh-keygen cannot read the list'
cmp -s "$work/krl" "$dir/krl" && exit 0

# The number first: after a crash in between, the newer list is pulled again, and an older one is not taken.
echo "$number" > "$work/number"
sync "$work/krl" "$work/number"
mv -f "$work/number" "$dir/krl.number"
mv -f "$work/krl" "$dir/krl"
`;
}
