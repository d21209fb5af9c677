/**
 * What a host's admin runs to bring an SSH target in: files under /etc/ssh/oncall, a timer that keeps the revocation list
 * fresh, and three lines for sshd. In this order sshd never reads a list that is not there: it would refuse everybody.
 */
import { createPublicKey } from 'node:crypto';
import type { Resource, SshSettings } from '../catalogue/types.ts';
import { formatSshPublicKey } from '../protocol/ssh-wire.ts';
import { writeFile } from './guide-text.ts';
import type { TargetGuide } from './issuer.ts';
import { pullService, pullTimer } from './pull-units.ts';
import type { SshIssuerOptions } from './ssh.ts';
import { principalOf, sshSettings } from './ssh-hosts.ts';
import { krlScript } from './ssh-krl-script.ts';

export const FOLDER = '/etc/ssh/oncall';
export const CA_FILE = `${FOLDER}/ca.pub`;
export const PRINCIPALS_FOLDER = `${FOLDER}/principals`;
export const KRL_FILE = `${FOLDER}/krl`;
const IDENTITY_FILE = `${FOLDER}/broker-identity.pem`;
const SCRIPT_FILE = '/usr/local/sbin/oncall-krl';
const UNIT = { what: 'SSH revocation list', folder: FOLDER, script: SCRIPT_FILE };

export function sshGuide(
  resource: Resource,
  { ca, publicUrl, identityKey }: Pick<SshIssuerOptions, 'ca' | 'publicUrl' | 'identityKey'>,
): TargetGuide {
  const settings = sshSettings(resource);
  const hosts = settings.hosts.map(({ name }) => name).join(', ');
  const where = `a root shell on each of: ${hosts}`;
  const publicHalf = identityKey.type === 'private' ? createPublicKey(identityKey) : identityKey;
  const identityPem = String(publicHalf.export({ type: 'spki', format: 'pem' }));
  return {
    steps: [
      {
        title: 'the CA that signs certificates, who may log in as whom, and the key that signs revocations',
        where,
        text: [
          `install -d -m 755 ${FOLDER} ${PRINCIPALS_FOLDER}`,
          writeFile(CA_FILE, `${formatSshPublicKey(ca.publicKey, 'oncall')}\n`),
          writeFile(IDENTITY_FILE, identityPem),
          ...principalLines(resource.id, settings),
        ].join('\n'),
      },
      {
        title: 'what pulls, verifies and swaps the revocation list (needs curl, openssl 3 and ssh-keygen)',
        where,
        text: [
          writeFile(SCRIPT_FILE, krlScript(FOLDER, new URL('/v1/krl/ssh', publicUrl).href)),
          `chmod 755 ${SCRIPT_FILE}`,
          writeFile('/etc/systemd/system/oncall-krl.service', pullService(UNIT)),
          writeFile('/etc/systemd/system/oncall-krl.timer', pullTimer(UNIT)),
        ].join('\n'),
      },
      {
        title: 'the first list, empty, for without one sshd refuses everybody; then the timer',
        where,
        text: [
          `test -s ${KRL_FILE} || ssh-keygen -q -k -f ${KRL_FILE}`,
          'systemctl daemon-reload',
          'systemctl enable --now oncall-krl.timer',
        ].join('\n'),
      },
      {
        title: 'sshd trusts the CA, maps its principals to accounts, and obeys the list',
        where: `${where} (sshd_config must include sshd_config.d, as it does on Debian, Ubuntu, Fedora and RHEL)`,
        text: [
          writeFile(
            '/etc/ssh/sshd_config.d/oncall.conf',
            `TrustedUserCAKeys ${CA_FILE}\nAuthorizedPrincipalsFile ${PRINCIPALS_FOLDER}/%u\nRevokedKeys ${KRL_FILE}\n`,
          ),
          'sshd -t && { systemctl reload ssh 2>/dev/null || systemctl reload sshd; }',
        ].join('\n'),
      },
      { title: 'prove it', where: "the broker's host", text: `oncall broker target ${resource.id} --check` },
    ],
  };
}

/** Added, not overwritten: another resource may let people in as the same account. */
function principalLines(resource: string, { roles }: SshSettings): string[] {
  return [...roles].map(([role, { login }]) => {
    const principal = principalOf(resource, role);
    const file = `${PRINCIPALS_FOLDER}/${login}`;
    return `grep -qsx '${principal}' ${file} || echo '${principal}' >> ${file}`;
  });
}
