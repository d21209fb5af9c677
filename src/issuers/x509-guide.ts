/**
 * What a service's admin does to bring it in. In this order nginx never reads a list that is not there: it would not start, and a
 * service that starts all the same would refuse everybody.
 */
import type { Resource, X509Role, X509Settings } from '../catalogue/types.ts';
import { writeFile } from './guide-text.ts';
import type { TargetGuide } from './issuer.ts';
import { pullService, pullTimer } from './pull-units.ts';
import type { X509IssuerOptions } from './x509.ts';
import { crlScript } from './x509-crl-script.ts';
import { x509Settings } from './x509-names.ts';

export const FOLDER = '/etc/oncall-x509';
export const CA_FILE = `${FOLDER}/ca.pem`;
export const CRL_FILE = `${FOLDER}/crl.pem`;
export const SCRIPT_FILE = '/usr/local/sbin/oncall-crl';
const UNIT = { what: 'list of revoked client certificates', folder: FOLDER, script: SCRIPT_FILE };

export function x509Guide(
  resource: Resource,
  { ca, listUrl }: Pick<X509IssuerOptions, 'ca' | 'listUrl'>,
): TargetGuide {
  const settings = x509Settings(resource);
  const { host } = new URL(settings.url);
  const servers = settings.servers.length === 0 ? host : settings.servers.join(', ');
  const where = `a root shell on each server of ${servers}`;
  return {
    steps: [
      {
        title: 'the CA that signs client certificates',
        where,
        text: [`install -d -m 755 ${FOLDER}`, writeFile(CA_FILE, ca.certificatePem)].join('\n'),
      },
      {
        title: 'what pulls, verifies and swaps the revocation list (needs curl and openssl), and tells nginx',
        where: `${where}; for another service than nginx put the command that makes it read its files again behind reload=`,
        text: [
          writeFile(SCRIPT_FILE, crlScript(FOLDER, listUrl)),
          `chmod 755 ${SCRIPT_FILE}`,
          writeFile('/etc/systemd/system/oncall-crl.service', pullService(UNIT)),
          writeFile('/etc/systemd/system/oncall-crl.timer', pullTimer(UNIT)),
        ].join('\n'),
      },
      {
        title: 'the first list, for without one nobody gets in; then the timer',
        where,
        text: [SCRIPT_FILE, 'systemctl daemon-reload', 'systemctl enable --now oncall-crl.timer'].join('\n'),
      },
      {
        title: 'who gets in, by the unit in the certificate: the CA signs for other services too',
        where,
        text: writeFile(roleFile(resource), roleMap(resource, settings)),
      },
      {
        title: 'nginx asks for certificates and obeys the list',
        where: `the server block of ${host}, then nginx -t && systemctl reload nginx`,
        text: serverLines(resource),
      },
      {
        title: 'or, for another service than nginx',
        where: 'its configuration',
        text: otherService(settings),
      },
      { title: 'prove it', where: "the broker's host", text: `oncall broker target ${resource.id} --check` },
    ],
  };
}

export function roleFile({ id }: Resource): string {
  return `/etc/nginx/conf.d/oncall-${id}.conf`;
}

/** nginx writes subjects by RFC 2253, last part first. */
function roleMap(resource: Resource, { roles }: X509Settings): string {
  const lines = [...roles].map(([role, settings]) => `  "~^${subjectPattern(settings)}$" ${role};\n`);
  return `map $ssl_client_s_dn ${roleVariable(resource)} {\n  default "";\n${lines.join('')}}\n`;
}

export function subjectPattern({ unit }: Pick<X509Role, 'unit'>): string {
  return `OU=${unit.replace(/[.\\/]/g, '\\$&')},CN=[0-9A-F]{32}`;
}

/** A session that is taken up again brings the answer of the day it began, whatever the list says by now. */
export function serverLines(resource: Resource, ca = CA_FILE, crl = CRL_FILE): string {
  return `ssl_client_certificate ${ca};
ssl_crl ${crl};
ssl_verify_client on;
ssl_session_cache off;
ssl_session_tickets off;
if (${roleVariable(resource)} = "") { return 403; }
# The role is in ${roleVariable(resource)}, the login in $ssl_client_s_dn: log them, and pass them on where that helps.
# Where ssl_client_certificate holds other CAs too, ssl_crl needs a list of each of them.`;
}

function otherService({ roles }: X509Settings): string {
  const units = [...roles].map(([role, { unit }]) => `#   OU=${unit}   ${role}`);
  return [
    `# client certificates: required, from ${CA_FILE} alone, for TLS client authentication`,
    `# revocation list: ${CRL_FILE}, read again after each change; no TLS session is taken up again`,
    '# roles, by the organizational unit in the subject (anything else: no access):',
    ...units,
  ].join('\n');
}

/** Resource names are small letters, digits and dashes. */
export function roleVariable({ id }: Resource): string {
  return `$oncall_${id.replaceAll('-', '_')}`;
}
