/** Whether a service lets in the break-glass CA by its names and no other, and by those names nobody else. */
import type { Resource } from '../catalogue/types.ts';
import { breakGlassName } from '../protocol/break-glass-names.ts';
import { createNamedLogin, type NamedLogin, PROBE_LIFE_MS, waitForRefusal } from './break-glass-check.ts';
import type { Requirement } from './issuer.ts';
import { fulfilled, missing } from './requirement.ts';
import { BREAK_GLASS_FILES, type X509BreakGlassOptions } from './x509-break-glass.ts';
import type { X509Ca } from './x509-ca.ts';
import { x509Settings } from './x509-names.ts';
import { createProbeLogin } from './x509-probe-login.ts';

export async function checkX509BreakGlass(
  resource: Resource,
  signal: AbortSignal,
  options: X509BreakGlassOptions,
): Promise<readonly Requirement[]> {
  const { cas, x509Ca, revocations, now, probe, revocationWaitMs: waitMs } = options;
  const { url, servers, caFile, roles } = x509Settings(resource);
  const caPem = caFile === undefined ? undefined : await options.readCa(caFile);
  const guide = `oncall broker target ${resource.id}   # its steps for break-glass`;
  const made: string[] = [];
  const certify = async (ca: X509Ca, name: string): Promise<NamedLogin> => {
    const login = await createNamedLogin(ca, { name }, now());
    if (ca === cas.x509) made.push(login.serial);
    return login;
  };
  const names = (resource.breakGlass?.roles ?? []).map((role) => ({
    role,
    name: breakGlassName({ resource: resource.id, role }),
  }));
  const wanted = await Promise.all(
    names.map(async ({ role, name }) => ({ role, name, login: await certify(cas.x509, name) })),
  );
  const strangers = (
    await Promise.all([
      ...names.flatMap(({ name }) => [
        certify(x509Ca, name).then((login) => ({ what: `${name} by the usual CA`, login })),
        certify(cas.x509, `${name}-oncall-check`).then((login) => ({
          what: 'another resource by the break-glass CA',
          login,
        })),
      ]),
      ...[...roles].map(async ([role, { unit }]) => {
        const login = await createProbeLogin(cas.x509, { purpose: 'check', unit, nowMs: now() });
        made.push(login.serial);
        return { what: `the usual name of ${role} by the break-glass CA`, login };
      }),
    ])
  ).flat();
  const askAt = (server: string | undefined, login: Omit<NamedLogin, 'serial'>) =>
    probe({ url, server, caPem, login, signal });
  const places = servers.length === 0 ? [undefined] : servers;
  const nameOf = (server: string | undefined) => server ?? new URL(url).host;

  const found: Requirement[] = [];
  const entered: (string | undefined)[] = [];
  try {
    for (const server of places) {
      const requirements: Requirement[] = [];
      for (const { role, name, login } of wanted) {
        const { answer, detail } = await askAt(server, login);
        const title = `${nameOf(server)}: break-glass as ${role}`;
        requirements.push(
          answer === 'let in' ? fulfilled(title, `${name}: ${detail}`) : missing(title, detail, guide),
        );
      }
      // A server that lets nobody in proves nothing by refusing.
      if (requirements.every(({ ok }) => ok)) {
        entered.push(server);
        for (const { what, login } of strangers) {
          const { answer, detail } = await askAt(server, login);
          const title = `${nameOf(server)}: ${what} is refused`;
          const isKept = answer === 'refused' || answer === 'no access';
          requirements.push(isKept ? fulfilled(title, detail) : missing(title, detail, guide));
        }
      }
      found.push(...requirements);
    }
  } finally {
    const expiresAtMs = now() + PROBE_LIFE_MS;
    for (const serial of made) await revocations.revoke({ list: 'break-glass-x509', serial, expiresAtMs });
  }
  const [first] = wanted;
  const lists = entered.map((server) =>
    waitForRefusal(
      nameOf(server),
      async () => first !== undefined && (await askAt(server, first.login)).answer === 'refused',
      { waitMs, signal, fix: `systemctl status ${BREAK_GLASS_FILES.unit}.timer` },
    ),
  );
  return [...found, ...(await Promise.all(lists))];
}
