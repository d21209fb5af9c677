/**
 * The proof that a tool refuses a token. The broker has not kept the token, only its id, so it shows the tool another one with
 * that id, and beside it one that is alike in all but the id: only a tool that takes that one and refuses the other has asked
 * about the id. A refusal by itself proves little, because the tool may refuse everybody.
 *
 * What this does not show: what a proxy does that keeps answers for a while (the guide says not to), and what another server
 * behind the same address does. A tool whose proxy verifies tokens by itself takes both; then the state stays `expires`.
 */
import type { HttpIssuerOptions } from './http.ts';
import { createProbeToken } from './http-probe-token.ts';
import { httpSettings, SKEW_MS } from './http-target.ts';
import type { EndInput, Proof } from './issuer.ts';

export async function proveRefusedToken(
  input: EndInput,
  id: string,
  options: HttpIssuerOptions,
): Promise<Proof> {
  const { subject, nowMs, signal } = input;
  const { url, caFile, roles } = httpSettings(subject.resource);
  const expiresAtMs = input.expiresAtMs + SKEW_MS;
  if (nowMs >= expiresAtMs) return { state: 'proven', method: 'the token has expired', at: nowMs };
  const method = 'a token with the same id, refused by the tool, beside one that is taken';
  const keys = options.keys();
  if (keys === undefined) return { state: 'expires', method, expiresAtMs };
  const caPem = caFile === undefined ? undefined : await options.readCa(caFile);
  const role = roles.has(subject.role) ? { role: subject.role } : {};
  const ask = async (change: { id?: string }) => {
    const more = { ...role, ...change };
    const token = await createProbeToken(keys.current, subject.resource, 'proof', nowMs, options, more);
    return (await options.probe({ url, caPem, token, signal })).answer;
  };
  const isRefused = (await ask({ id })) === 'refused' && (await ask({})) === 'let in';
  return isRefused ? { state: 'proven', method, at: nowMs } : { state: 'expires', method, expiresAtMs };
}
