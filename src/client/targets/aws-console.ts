/**
 * A link into the AWS console for the session at hand (IAM User Guide, "Enable custom identity broker access to the AWS
 * console"). Its `SessionDuration` is left out: AWS takes none for credentials of a chained role, and without it a console
 * session ends with the credentials that it was opened with, instead of hours later.
 */
import { AppError, isAppError } from '../../protocol/errors.ts';
import { isLoopback } from '../../protocol/loopback.ts';
import { createTransport } from '../transport.ts';
import type { ConsoleOptions, Held } from './client-target.ts';

const TIMEOUT_MS = 15_000;

/** Throws AppError `target_unreachable`, `target_refused`, and `corrupt_file` for an address that no secret may be sent to. */
export async function requestConsoleLink(
  { publicPart, secret }: Held<'aws'>,
  options: ConsoleOptions,
): Promise<string> {
  const signIn = secretSafe(publicPart.signIn);
  const session = {
    sessionId: secret.accessKeyId,
    sessionKey: secret.secretAccessKey,
    sessionToken: secret.sessionToken,
  };
  const asked = withQuery(signIn, { Action: 'getSigninToken', Session: JSON.stringify(session) });
  const { status, body } = await get(asked, options);
  if (status >= 500)
    throw new AppError('target_unreachable', `AWS sign-in answers ${status}`, {
      hint: 'type it again; the command line works meanwhile: oncall run TARGET -- aws',
    });
  if (status !== 200) {
    throw new AppError('target_refused', `AWS sign-in refuses the session (${status})`, {
      hint: 'its time may be over: try again',
    });
  }
  return withQuery(signIn, {
    Action: 'login',
    Destination: secretSafe(publicPart.console).href,
    SigninToken: readToken(body.toString('utf8')),
  }).href;
}

async function get(url: URL, { trust, env, now, signal }: ConsoleOptions) {
  const transport = createTransport(url, trust, env, now);
  try {
    return await transport.send({
      method: 'GET',
      url,
      headers: { accept: 'application/json' },
      body: undefined,
      timeoutMs: TIMEOUT_MS,
      signal,
      streams: false,
      onSent: undefined,
    });
  } catch (error) {
    if (isAppError(error) && error.code === 'interrupted') throw error;
    throw new AppError('target_unreachable', `AWS sign-in at ${url.host} cannot be reached`, {
      hint: 'check the network and HTTPS_PROXY',
      cause: error,
    });
  } finally {
    transport.close();
  }
}

function readToken(text: string): string {
  try {
    const { SigninToken: token } = JSON.parse(text) as { SigninToken?: unknown };
    if (typeof token === 'string' && token !== '') return token;
  } catch {
    // Said below.
  }
  throw new AppError('target_refused', 'AWS sign-in has sent no token', {
    hint: 'oncall renew --no-extend fetches another session; the command line works meanwhile',
  });
}

function withQuery(base: URL, query: Readonly<Record<string, string>>): URL {
  const url = new URL(base);
  url.search = new URLSearchParams(query).toString();
  return url;
}

/** Never in the clear but to this machine. */
function secretSafe(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(url.hostname))) return url;
  throw new AppError('corrupt_file', 'the broker sent an address that no secret may go to', {
    hint: 'tell who keeps the catalogue',
  });
}
