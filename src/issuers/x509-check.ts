/**
 * What a service needs, each requirement proven by connecting with certificates whose keys live as long as the check: one for
 * each role, and some that must not get in. In the end those of the roles are revoked, and each server is asked until it refuses.
 */
import { generateKeyPairSync } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Resource } from '../catalogue/types.ts';
import type { Requirement } from './issuer.ts';
import { fulfilled, missing } from './requirement.ts';
import type { X509IssuerOptions } from './x509.ts';
import { createX509Ca } from './x509-ca.ts';
import { CA_FILE, CRL_FILE, roleFile } from './x509-guide.ts';
import { x509Settings } from './x509-names.ts';
import type { ProbeAnswer, ProbeTarget } from './x509-probe.ts';
import { createProbeLogin, PROBE_LIFE_MS, type ProbeLogin } from './x509-probe-login.ts';

const ASK_AGAIN_MS = 1_000;

interface Logins {
  roles: readonly { role: string; login: ProbeLogin }[];
  /** Each with why it must not get in, and the line that keeps it out. */
  strangers: readonly { what: string; login: ProbeLogin | undefined; fix: string }[];
}

/** Throws AppError where the revocation cannot be written down or the CA file cannot be read; what servers say are requirements. */
export async function checkX509(
  resource: Resource,
  signal: AbortSignal,
  options: X509IssuerOptions,
): Promise<readonly Requirement[]> {
  const { url, servers, caFile } = x509Settings(resource);
  const caPem = caFile === undefined ? undefined : await options.readCa(caFile);
  const logins = await createLogins(resource, options);
  const places = (servers.length === 0 ? [undefined] : servers).map((server) => ({
    name: server ?? new URL(url).host,
    ask: (login: ProbeLogin | undefined, more: Pick<ProbeTarget, 'session' | 'onSession'> = {}) =>
      options.probe({ url, server, caPem, login, signal, ...more }),
  }));
  const found: Requirement[] = [];
  const taken: Place[] = [];
  /** Begun before the revocation, with the first role's certificate. */
  const sessions = new Map<Place, Buffer[]>();
  try {
    for (const place of places) {
      const requirements = await checkPlace(resource, place, logins);
      if (requirements.every(({ ok }) => ok)) {
        const begun: Buffer[] = [];
        await place.ask(logins.roles[0]?.login, { onSession: (session) => begun.push(session) });
        sessions.set(place, begun);
        taken.push(place);
      }
      found.push(...requirements);
    }
  } finally {
    const expiresAtMs = options.now() + PROBE_LIFE_MS;
    for (const { login } of logins.roles)
      await options.revocations.revoke({ list: 'x509', serial: login.serial, expiresAtMs });
  }
  // A server that lets nobody in proves nothing by refusing.
  const lists = await Promise.all(
    taken.map((place) => checkRevocation(place, logins, sessions.get(place) ?? [], signal, options)),
  );
  return [...found, ...lists.flat()];
}

interface Place {
  name: string;
  ask(login: ProbeLogin | undefined, more?: Pick<ProbeTarget, 'session' | 'onSession'>): Promise<ProbeAnswer>;
}

async function createLogins(resource: Resource, { ca, now, listUrl }: X509IssuerOptions): Promise<Logins> {
  const made = { purpose: 'check' as const, nowMs: now() };
  const settings = [...x509Settings(resource).roles];
  const roles = settings.map(async ([role, { unit }]) => ({
    role,
    login: await createProbeLogin(ca, { ...made, unit }),
  }));
  const [first] = settings;
  const unit = first?.[1].unit ?? 'none';
  const otherCa = await createX509Ca(generateKeyPairSync('ed25519').privateKey, listUrl);
  return {
    roles: await Promise.all(roles),
    strangers: [
      {
        what: 'no certificate',
        login: undefined,
        fix: 'ssl_verify_client on;   # in the server block',
      },
      {
        what: 'a certificate of another CA',
        login: await createProbeLogin(otherCa, { ...made, unit }),
        fix: `ssl_client_certificate ${CA_FILE}; ssl_verify_client on;   # in the server block, and no CA besides`,
      },
      {
        what: 'a certificate for another service',
        login: await createProbeLogin(ca, { ...made, unit: 'oncall-check/other' }),
        fix: `oncall broker target ${resource.id}   # ${roleFile(resource)}, and return 403 where the role is empty`,
      },
    ],
  };
}

async function checkPlace(resource: Resource, place: Place, logins: Logins): Promise<Requirement[]> {
  const requirements: Requirement[] = [];
  for (const { role, login } of logins.roles) {
    const { answer, detail } = await place.ask(login);
    const name = `${place.name}: login as ${role}`;
    if (answer === 'let in') requirements.push(fulfilled(name, detail));
    else if (answer === 'unknown') {
      const fix = `curl -v ${x509Settings(resource).url}   # on the broker's host; ca: … in the catalogue where its CA is your own`;
      return [missing(`${place.name}: reachable`, detail, fix)];
    } else if (answer === 'refused') {
      const fix = `ssl_client_certificate ${CA_FILE}; ssl_crl ${CRL_FILE};   # in the server block; is the list there, and valid?`;
      requirements.push(missing(name, `the certificate was refused: ${detail}`, fix));
    } else {
      const fix = `oncall broker target ${resource.id}   # ${roleFile(resource)} has a line for each role`;
      requirements.push(missing(name, `no access: ${detail}`, fix));
    }
  }
  for (const { what, login, fix } of logins.strangers) {
    const { answer, detail } = await place.ask(login);
    const name = `${place.name}: ${what} is refused`;
    const isKept = answer === 'refused' || answer === 'no access';
    requirements.push(isKept ? fulfilled(name, detail) : missing(name, detail, fix));
  }
  return requirements;
}

async function checkRevocation(
  place: Place,
  { roles }: Logins,
  sessions: readonly Buffer[],
  signal: AbortSignal,
  { revocationWaitMs }: X509IssuerOptions,
): Promise<Requirement[]> {
  const name = `${place.name}: revocation list`;
  const [first] = roles;
  if (!first) return [missing(name, 'no role to ask with', 'roles: …   # in the catalogue')];
  const startedAt = performance.now();
  for (;;) {
    const { answer } = await place.ask(first.login);
    const seconds = Math.round((performance.now() - startedAt) / 1000);
    if (answer === 'refused') {
      const detail = `a revoked certificate was refused after ${seconds} s`;
      return [fulfilled(name, detail), await checkSessions(place, first.login, sessions)];
    }
    if (signal.aborted || seconds * 1000 >= revocationWaitMs) {
      const fix = `systemctl status oncall-crl.timer oncall-crl.service   # and ssl_crl ${CRL_FILE} in the server block`;
      return [missing(name, `a revoked certificate was still taken after ${seconds} s`, fix)];
    }
    await sleep(ASK_AGAIN_MS, undefined, { signal }).catch(() => undefined);
  }
}

/** A session that is taken up again brings the verdict of the day it began, whatever the list says by now. */
async function checkSessions(
  place: Place,
  login: ProbeLogin,
  sessions: readonly Buffer[],
): Promise<Requirement> {
  const name = `${place.name}: no session outlives a revocation`;
  for (const session of sessions) {
    const { answer, detail } = await place.ask(login, { session });
    if (answer !== 'let in' && answer !== 'no access') continue;
    return missing(name, detail, 'ssl_session_cache off; ssl_session_tickets off;   # in the server block');
  }
  return fulfilled(name, 'a revoked certificate was refused in sessions from before too');
}
