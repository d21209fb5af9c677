/**
 * An invitation, and the broker behind it: `https://host:7443/#CODE`, CODE = secret `-` fingerprint of the identity key. The
 * broker is known before the secret is sent: by the fingerprint over TLS, or behind a company's CA by its signed identity.
 */
import { randomBytes } from 'node:crypto';
import { AppError, isAppError } from '../protocol/errors.ts';
import { decodeBase32 } from '../protocol/ids.ts';
import { rawPublicKey } from '../protocol/keys.ts';
import type { Identity } from '../protocol/messages.ts';
import { isSignedIdentity, isSignedTime, readReply } from './answer.ts';
import type { ClientConfig } from './config.ts';
import type { ClientContext } from './context.ts';
import type { Endpoints } from './endpoints.ts';
import { fingerprintOf, inspectIdentity } from './tls.ts';
import { createTransport } from './transport.ts';

const IDENTITY_TIMEOUT_MS = 15_000;
/** Base 32 of 16 bytes. */
const CODE_PART = 26;

export interface Invitation {
  readonly url: URL;
  readonly secret: string;
  readonly fingerprint: string;
}

/** Throws AppError `invite_invalid` for anything else than a whole invitation. */
export function parseInvitation(text: string): Invitation {
  const url = URL.canParse(text.trim()) ? new URL(text.trim()) : undefined;
  const code = url?.hash.slice(1).toLowerCase() ?? '';
  const [secret = '', fingerprint = '', ...rest] = code.split('-');
  const isWhole = [secret, fingerprint].every(
    (part) => part.length === CODE_PART && decodeBase32(part) !== undefined,
  );
  if (
    url === undefined ||
    !isWhole ||
    rest.length > 0 ||
    url.search !== '' ||
    url.username + url.password !== ''
  ) {
    throw new AppError('invite_invalid', 'not an invitation', {
      hint: 'paste the whole line in quotes: oncall enroll "https://broker:7443/#CODE"',
    });
  }
  url.hash = '';
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  return { url, secret, fingerprint };
}

/** What is pinned. */
export type KnownBroker = Pick<
  ClientConfig,
  'broker' | 'identityKey' | 'identityCertificate' | 'logKey' | 'origin' | 'ca'
>;

/** Throws AppError `tls_untrusted` for another broker than the invitation's, `broker_unreachable`, and `config_invalid` for another URL. */
export async function meetBroker(
  { url, fingerprint }: Invitation,
  ca: string,
  context: Pick<ClientContext, 'env' | 'now'>,
): Promise<KnownBroker> {
  const { env } = context;
  const found =
    url.protocol === 'https:' && ca === 'pinned' ? await inspectIdentity(url, fingerprint, env) : undefined;
  const trust = { ca, ...(found === undefined ? {} : { identityCertificate: found.certificate }) };
  const identity = await fetchIdentity(url, trust, context);
  if (fingerprintOf(identity.identityKey) !== fingerprint) {
    throw new AppError('tls_untrusted', `${url.host} is not the broker that the invitation names`, {
      hint: 'check the invitation with who sent it',
    });
  }
  if (!URL.canParse(identity.publicUrl) || withSlash(identity.publicUrl) !== url.href) {
    throw new AppError(
      'config_invalid',
      `the broker calls itself ${identity.publicUrl}, the invitation ${url.href}`,
      {
        hint: "use the invitation as the broker printed it, or correct publicUrl in the broker's configuration",
      },
    );
  }
  const { identityKey, logKey, origin } = identity;
  return { broker: url.href, identityKey, logKey, origin, ...trust };
}

/**
 * Who the broker says that it is (the one at this address, where there are several), proven by the identity key that it names: whether that is the one meant is the caller's to see.
 * Throws AppError `tls_untrusted`, `broker_unreachable`.
 */
export async function fetchIdentity(
  url: URL,
  trust: Pick<ClientConfig, 'ca' | 'identityCertificate'>,
  { env, now }: Pick<ClientContext, 'env' | 'now'>,
  { timeoutMs = IDENTITY_TIMEOUT_MS, at }: { timeoutMs?: number; at?: URL } = {},
): Promise<Identity> {
  const transport = createTransport(url, trust, env, now, at && onlyAt(at));
  const nonce = randomBytes(16).toString('base64url');
  try {
    const reply = await transport.send({
      method: 'GET',
      url: new URL('v1/identity', url),
      headers: { accept: 'application/json', 'oncall-nonce': nonce },
      body: undefined,
      timeoutMs,
      signal: undefined,
      streams: false,
      onSent: undefined,
    });
    const identity = readReply(reply) as Identity;
    // Throws for what are no keys.
    rawPublicKey(identity.logKey);
    if (isSignedTime(identity.time, nonce, identity.identityKey) && isSignedIdentity(identity))
      return identity;
  } catch (cause) {
    if (isAppError(cause) && cause.code !== 'invalid_request') throw cause;
    throw notProven(url, cause);
  } finally {
    transport.close();
  }
  throw notProven(url);
}

/** One address of several: whether it answers is what is asked. */
function onlyAt(endpoint: URL): Endpoints {
  return { inOrder: () => [endpoint], answered() {}, failed() {}, settle: async () => {} };
}

function notProven(url: URL, cause?: unknown): AppError {
  return new AppError('tls_untrusted', `${url.host} does not prove that it is the broker`, {
    hint: 'compare the invitation with the one you were sent; ask for another if it is the same',
    cause,
  });
}

function withSlash(url: string): string {
  const { href } = new URL(url);
  return href.endsWith('/') ? href : `${href}/`;
}
