/**
 * What an SSH target needs, each requirement proven by logging in: with a certificate for a key that lives as long as the
 * check, whose command is `true`. That certificate is revoked in the end, and each host is asked until it refuses it.
 */
import { generateKeyPairSync } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Resource, SshHost } from '../catalogue/types.ts';
import { formatOpenSshPrivateKey } from '../protocol/ssh-key.ts';
import { sshPublicKeyBlob } from '../protocol/ssh-wire.ts';
import type { Requirement } from './issuer.ts';
import { fulfilled, missing } from './requirement.ts';
import type { SshIssuerOptions } from './ssh.ts';
import { CA_FILE, KRL_FILE, PRINCIPALS_FOLDER } from './ssh-guide.ts';
import { knownHostsOf, principalOf, sshSettings } from './ssh-hosts.ts';
import type { ProbeTarget } from './ssh-probe.ts';
import { createProbeCertificate, PROBE_LIFE_MS, type ProbeCertificate } from './ssh-probe-certificate.ts';

const ASK_AGAIN_MS = 1_000;

interface ProbeLogin extends ProbeCertificate {
  role: string;
  login: string;
}

/** Throws AppError only where the revocation cannot be written down; what hosts say are requirements. */
export async function checkSsh(
  resource: Resource,
  signal: AbortSignal,
  options: SshIssuerOptions,
): Promise<readonly Requirement[]> {
  const { hosts } = sshSettings(resource);
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const subject = sshPublicKeyBlob(publicKey);
  const logins = createProbeLogins(resource, subject, options);
  const secret = formatOpenSshPrivateKey(privateKey);
  const found: Requirement[][] = [];
  const taken: SshHost[] = [];
  try {
    for (const host of hosts) {
      const requirements = await checkHost(resource, host, logins, secret, signal, options);
      if (requirements.every(({ ok }) => ok)) taken.push(host);
      found.push(requirements);
    }
  } finally {
    const expiresAtMs = options.now() + PROBE_LIFE_MS;
    for (const { serial } of logins) await options.revocations.revoke({ list: 'ssh', serial, expiresAtMs });
  }
  // A host that takes nobody proves nothing by refusing.
  const lists = await Promise.all(
    taken.map((host) => checkRevocation(resource, host, logins, signal, options)),
  );
  return [...found.flat(), ...lists];
}

function createProbeLogins(
  resource: Resource,
  subjectPublicKey: Uint8Array,
  options: SshIssuerOptions,
): ProbeLogin[] {
  const nowMs = options.now();
  return [...sshSettings(resource).roles].map(([role, { login }]) => {
    const probe = createProbeCertificate(options.ca, {
      subjectPublicKey,
      purpose: 'check',
      principals: [principalOf(resource.id, role)],
      criticalOptions: { 'force-command': 'true' },
      nowMs,
    });
    return { role, login, ...probe };
  });
}

function targetOf(
  resource: Resource,
  { host, port }: SshHost,
  { login, certificate }: ProbeLogin,
  signal: AbortSignal,
): ProbeTarget {
  return { host, port, login, certificate, knownHosts: knownHostsOf(sshSettings(resource)), signal };
}

async function checkHost(
  resource: Resource,
  host: SshHost,
  logins: readonly ProbeLogin[],
  privateKey: string,
  signal: AbortSignal,
  { probe }: SshIssuerOptions,
): Promise<Requirement[]> {
  const requirements: Requirement[] = [];
  for (const login of logins) {
    const target = targetOf(resource, host, login, signal);
    const { stage, answer, detail } = await probe.logIn({ ...target, privateKey });
    const name = `${host.name}: login as ${login.role}`;
    const principal = principalOf(resource.id, login.role);
    if (answer === 'accepted') {
      requirements.push(fulfilled(name, `${principal} is let in as ${login.login}`));
    } else if (stage === 'connect') {
      return [
        missing(
          `${host.name}: reachable`,
          detail,
          `ssh-keyscan -p ${host.port} ${host.host}   # on the broker's host`,
        ),
      ];
    } else if (stage === 'host key') {
      const fix = `hostKeys: […]   # in the catalogue; ssh-keyscan -p ${host.port} ${host.host} shows them, compare with the host`;
      return [missing(`${host.name}: host key`, detail, fix)];
    } else if (stage === 'command') {
      const fix = `usermod --shell /bin/sh ${login.login}   # the account has to run commands`;
      requirements.push(missing(name, `let in, but true did not run: ${detail}`, fix));
    } else {
      const fix = `echo '${principal}' >> ${PRINCIPALS_FOLDER}/${login.login}   # and TrustedUserCAKeys ${CA_FILE} in sshd_config`;
      requirements.push(missing(name, detail, fix));
    }
  }
  for (const login of logins) {
    for (const other of logins.filter((candidate) => candidate.login !== login.login)) {
      const target = { ...targetOf(resource, host, login, signal), login: other.login };
      const { answer } = await probe.ask(target);
      if (answer !== 'accepted') continue;
      const principal = principalOf(resource.id, login.role);
      const fix = `sed -i '/^${principal}$/d' ${PRINCIPALS_FOLDER}/${other.login}`;
      requirements.push(
        missing(`${host.name}: roles apart`, `${principal} is let in as ${other.login} too`, fix),
      );
    }
  }
  return requirements;
}

async function checkRevocation(
  resource: Resource,
  host: SshHost,
  logins: readonly ProbeLogin[],
  signal: AbortSignal,
  { probe, revocationWaitMs }: SshIssuerOptions,
): Promise<Requirement> {
  const name = `${host.name}: revocation list`;
  const [login] = logins;
  if (!login) return missing(name, 'no role to ask with', 'roles: …   # in the catalogue');
  const startedAt = performance.now();
  for (;;) {
    const { answer } = await probe.ask(targetOf(resource, host, login, signal));
    const seconds = Math.round((performance.now() - startedAt) / 1000);
    if (answer === 'refused') return fulfilled(name, `a revoked certificate was refused after ${seconds} s`);
    if (signal.aborted || seconds * 1000 >= revocationWaitMs) {
      const fix = `systemctl status oncall-krl.timer oncall-krl.service   # and RevokedKeys ${KRL_FILE} in sshd_config`;
      return missing(name, `a revoked certificate was still taken after ${seconds} s`, fix);
    }
    await sleep(ASK_AGAIN_MS, undefined, { signal }).catch(() => undefined);
  }
}
