/**
 * Whether hosts let in the break-glass CA by its names, and by no other: each asked with certificates whose key lives as long as
 * the check. A host that takes nobody proves nothing by refusing, so the login comes first.
 */
import { generateKeyPairSync } from 'node:crypto';
import type { Resource, SshHost } from '../catalogue/types.ts';
import { breakGlassName } from '../protocol/break-glass-names.ts';
import { formatOpenSshPrivateKey } from '../protocol/ssh-key.ts';
import { sshPublicKeyBlob } from '../protocol/ssh-wire.ts';
import type { BreakGlassCas } from './break-glass.ts';
import { waitForRefusal } from './break-glass-check.ts';
import type { Requirement } from './issuer.ts';
import { fulfilled, missing } from './requirement.ts';
import type { SshCa, SshIssuerOptions } from './ssh.ts';
import { BREAK_GLASS_FOLDER } from './ssh-break-glass.ts';
import { KRL_FILE } from './ssh-guide.ts';
import { knownHostsOf, principalOf, sshSettings } from './ssh-hosts.ts';
import { createProbeCertificate, PROBE_LIFE_MS, type ProbeCertificate } from './ssh-probe-certificate.ts';

interface Asked {
  login: string;
  certificate: string;
}

export async function checkSshBreakGlass(
  resource: Resource,
  signal: AbortSignal,
  options: SshIssuerOptions,
  cas: BreakGlassCas,
): Promise<readonly Requirement[]> {
  const { probe, revocations, now, revocationWaitMs: waitMs } = options;
  const settings = sshSettings(resource);
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const secret = formatOpenSshPrivateKey(privateKey);
  const subjectPublicKey = sshPublicKeyBlob(publicKey);
  const made: { ca: SshCa; serial: string }[] = [];
  const certify = (ca: SshCa, principal: string): ProbeCertificate => {
    const criticalOptions = { 'force-command': 'true' };
    const principals = [principal];
    const probed = { subjectPublicKey, purpose: 'check', principals, criticalOptions, nowMs: now() };
    const certificate = createProbeCertificate(ca, probed);
    made.push({ ca, serial: certificate.serial });
    return certificate;
  };
  const names = (resource.breakGlass?.roles ?? []).map((role) => {
    const login = settings.roles.get(role)?.login ?? '';
    return { role, login, name: breakGlassName({ resource: resource.id, role }) };
  });
  const wanted = names.map((each) => ({ ...each, ...certify(cas.ssh, each.name) }));
  const strangers = names.flatMap(({ role, login, name }) => [
    { what: `${name} by the usual CA`, login, ...certify(options.ca, name) },
    {
      what: `${principalOf(resource.id, role)} by the break-glass CA`,
      login,
      ...certify(cas.ssh, principalOf(resource.id, role)),
    },
    { what: `${login} by the break-glass CA`, login, ...certify(cas.ssh, login) },
    { what: 'another resource by the break-glass CA', login, ...certify(cas.ssh, `${name}-oncall-check`) },
    ...names
      .filter((other) => other.login !== login)
      .map((other) => ({ what: `${other.name} as ${login}`, login, ...certify(cas.ssh, other.name) })),
  ]);

  const targetOf = ({ host, port }: SshHost, { login, certificate }: Asked) => ({
    ...{ host, port, login, certificate, signal },
    knownHosts: knownHostsOf(settings),
  });
  const guide = `oncall broker target ${resource.id}   # its steps for break-glass`;

  async function checkHost(host: SshHost): Promise<Requirement[]> {
    const found: Requirement[] = [];
    for (const { role, name, ...login } of wanted) {
      const { answer, detail } = await probe.logIn({ ...targetOf(host, login), privateKey: secret });
      const title = `${host.name}: break-glass as ${role}`;
      const fix = `${guide}; is ${name} in ${BREAK_GLASS_FOLDER}/${login.login}?`;
      if (answer !== 'accepted') return [...found, missing(title, detail, fix)];
      found.push(fulfilled(title, `${name} is let in as ${login.login}`));
    }
    for (const { what, ...login } of strangers) {
      const { answer, detail } = await probe.ask(targetOf(host, login));
      const title = `${host.name}: ${what} is refused`;
      found.push(answer === 'refused' ? fulfilled(title, detail) : missing(title, detail, guide));
    }
    return found;
  }

  const found: Requirement[] = [];
  const taken: SshHost[] = [];
  try {
    for (const host of settings.hosts) {
      const requirements = await checkHost(host);
      if (requirements.every(({ ok }) => ok)) taken.push(host);
      found.push(...requirements);
    }
  } finally {
    const expiresAtMs = now() + PROBE_LIFE_MS;
    for (const { ca, serial } of made)
      await revocations.revoke({ list: ca === cas.ssh ? 'break-glass-ssh' : 'ssh', serial, expiresAtMs });
  }
  const [first] = wanted;
  const lists = taken.map((host) =>
    waitForRefusal(
      host.name,
      async () => first !== undefined && (await probe.ask(targetOf(host, first))).answer === 'refused',
      { waitMs, signal, fix: `systemctl status oncall-krl.timer   # and RevokedKeys ${KRL_FILE}` },
    ),
  );
  return [...found, ...(await Promise.all(lists))];
}
