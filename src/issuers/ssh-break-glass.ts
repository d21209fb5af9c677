/**
 * Break-glass at SSH hosts. Its CA stands in an AuthorizedKeysFile of its own, each account's, in a line that names the principals
 * which it may let in there: sshd asks that line alone about its certificates, and TrustedUserCAKeys about those of the usual CA,
 * whose principals file has no break-glass name in it (sshd(8), AUTHORIZED_KEYS FILE FORMAT).
 */
import { randomBytes } from 'node:crypto';
import type { Resource } from '../catalogue/types.ts';
import { breakGlassName } from '../protocol/break-glass-names.ts';
import { AppError } from '../protocol/errors.ts';
import { encodeCertificate } from '../protocol/ssh-certificate.ts';
import { formatSshPublicKey, parseSshPublicKey } from '../protocol/ssh-wire.ts';
import type { BreakGlassCas, BreakGlassIssuer } from './break-glass.ts';
import type { SshIssuerOptions } from './ssh.ts';
import { checkSshBreakGlass } from './ssh-break-glass-check.ts';
import { FOLDER } from './ssh-guide.ts';
import { knownHostsOf, sshSettings } from './ssh-hosts.ts';

export const BREAK_GLASS_FOLDER = `${FOLDER}/break-glass`;

export function createSshBreakGlass(options: SshIssuerOptions, cas: BreakGlassCas): BreakGlassIssuer {
  const ca = cas.ssh;
  return {
    kind: 'ssh',
    material: 'ssh',
    list: 'break-glass-ssh',
    checkMaterial(material) {
      blobOf(material);
    },
    chooseSerials(count) {
      // 62 random bits: the last one fits into a signed integer too.
      const first = (randomBytes(8).readBigUInt64BE() >> 2n) + 1n;
      return Array.from({ length: count }, (_, i) => (first + BigInt(i)).toString());
    },
    async placeOf(resource, role) {
      const settings = sshSettings(resource);
      return {
        kind: 'ssh',
        login: roleOf(resource, role).login,
        hosts: settings.hosts.map(({ name, host, port }) => ({ name, host, port })),
        knownHosts: knownHostsOf(settings),
      };
    },
    async sign({ resource, role, name, keyId, serial, notBeforeMs, notAfterMs }, material) {
      const { forceCommand, sourceAddress } = roleOf(resource, role);
      return encodeCertificate({
        subjectPublicKey: blobOf(material),
        serial: BigInt(serial),
        type: 'user',
        keyId,
        principals: [name],
        validAfterSeconds: Math.floor(notBeforeMs / 1000),
        validBeforeSeconds: Math.floor(notAfterMs / 1000),
        criticalOptions: {
          ...(forceCommand !== undefined && { 'force-command': forceCommand }),
          ...(sourceAddress !== undefined && { 'source-address': sourceAddress }),
        },
        extensions: forceCommand === undefined ? ['permit-pty'] : [],
        caPublicKey: ca.publicKey,
        sign: ca.sign,
      });
    },
    steps: (resource) => {
      const hosts = sshSettings(resource).hosts.map(({ name }) => name);
      const where = `a root shell on each of: ${hosts.join(', ')}`;
      return [
        {
          title: 'break-glass: its CA, and the one name that it may let in for each account',
          where,
          text: [`install -d -m 755 ${BREAK_GLASS_FOLDER}`, ...keyLines(resource, ca.publicKey)].join('\n'),
        },
        {
          title: 'break-glass: sshd looks for that CA',
          where: `${where}; where sshd_config names other files of keys already, write those in place of .ssh/authorized_keys`,
          text: [
            `echo 'AuthorizedKeysFile .ssh/authorized_keys ${BREAK_GLASS_FOLDER}/%u' > /etc/ssh/sshd_config.d/oncall-break-glass.conf`,
            'sshd -t && { systemctl reload ssh 2>/dev/null || systemctl reload sshd; }',
          ].join('\n'),
        },
      ];
    },
    check: (resource, signal) => checkSshBreakGlass(resource, signal, options, cas),
  };
}

/** Added, not overwritten, and once: another resource may break the glass of the same account. */
function keyLines(resource: Resource, ca: Uint8Array): string[] {
  return (resource.breakGlass?.roles ?? []).map((role) => {
    const file = `${BREAK_GLASS_FOLDER}/${roleOf(resource, role).login}`;
    const line = keyLine(breakGlassName({ resource: resource.id, role }), ca);
    return `grep -qsxF '${line}' ${file} || echo '${line}' >> ${file}`;
  });
}

export function keyLine(name: string, ca: Uint8Array): string {
  return `cert-authority,restrict,pty,principals="${name}" ${formatSshPublicKey(ca, 'oncall-break-glass')}`;
}

function roleOf(resource: Resource, role: string) {
  const found = sshSettings(resource).roles.get(role);
  if (!found) throw new AppError('target_refused', `${resource.id} has no role ${role}`);
  return found;
}

function blobOf(material: { kind: string; publicKey?: string }): Buffer {
  if (material.kind !== 'ssh' || material.publicKey === undefined)
    throw new AppError('invalid_request', 'not an SSH public key');
  return Buffer.from(parseSshPublicKey(material.publicKey).blob);
}
