/**
 * The proof that a service holds a revocation list with the serial. Nobody but the device can log in with the ended certificate
 * itself, so the service is shown another over that serial, made for the purpose: lists name issuer and serial, nothing else of
 * a certificate (RFC 5280 section 5.1.2.6). A refusal by itself proves little, because the service may refuse everybody; so it is
 * shown a second one as well, alike in all but key and serial, and only a service whose TLS takes that one and refuses the
 * other has shown that the list has reached it. Both name nobody and no role: where a service tells roles apart, neither gets in.
 *
 * What this does not show: that connections which were open before have been closed, that no TLS session from before is taken up
 * again (the guide says not to, and the check tries it), and what a server behind the same address does that the catalogue does
 * not list.
 */
import type { EndInput, Proof } from './issuer.ts';
import type { X509IssuerOptions } from './x509.ts';
import { x509Settings } from './x509-names.ts';
import type { ProbeTarget } from './x509-probe.ts';
import { createProbeLogin, type ProbeLogin } from './x509-probe-login.ts';

type Options = Pick<X509IssuerOptions, 'ca' | 'probe' | 'readCa'>;
type Place = Omit<ProbeTarget, 'login'>;

/** `expiresAtMs`: when a service refuses the certificate by itself, its clock's error included. */
export async function proveListed(input: EndInput, expiresAtMs: number, options: Options): Promise<Proof> {
  const { subject, handle, nowMs, signal } = input;
  if (nowMs >= expiresAtMs) return { state: 'proven', method: 'the certificate has expired', at: nowMs };
  const method =
    'a certificate with the same serial, refused at the TLS of each server, beside one that is taken';
  const { url, servers, caFile } = x509Settings(subject.resource);
  // Without it no server could be told from another that stands in its place.
  const caPem = caFile === undefined ? undefined : await options.readCa(caFile);
  const [listed, control] = await Promise.all([
    createProbeLogin(options.ca, { purpose: 'proof', serial: handle, nowMs }),
    createProbeLogin(options.ca, { purpose: 'proof', nowMs }),
  ]);
  const places = servers.length === 0 ? [undefined] : servers;
  const answers = places.map((server) => isListed({ url, server, caPem, signal }, listed, control, options));
  return (await Promise.all(answers)).every((is) => is)
    ? { state: 'proven', method, at: nowMs }
    : { state: 'expires', method, expiresAtMs };
}

async function isListed(
  place: Place,
  listed: ProbeLogin,
  control: ProbeLogin,
  { probe }: Options,
): Promise<boolean> {
  if ((await probe({ ...place, login: listed })).answer !== 'refused') return false;
  const { answer } = await probe({ ...place, login: control });
  return answer === 'let in' || answer === 'no access';
}
