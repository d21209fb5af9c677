/**
 * Break-glass at services that speak mutual TLS. nginx asks several CAs and then tells nobody which: what keeps the break-glass CA
 * to its names, and the usual one from them, is that roles are told by issuer and subject together. It knows one file of CAs and
 * one of lists, so both are joined whenever one of the lists has changed.
 */
import type { Resource } from '../catalogue/types.ts';
import { breakGlassName } from '../protocol/break-glass-names.ts';
import { AppError } from '../protocol/errors.ts';
import type { BreakGlassCas, BreakGlassIssuer } from './break-glass.ts';
import { filesIn, pullSteps } from './break-glass-pull.ts';
import { writeFile } from './guide-text.ts';
import type { X509IssuerOptions } from './x509.ts';
import { checkX509BreakGlass } from './x509-break-glass-check.ts';
import type { X509Ca } from './x509-ca.ts';
import { RELOAD } from './x509-crl-script.ts';
import {
  CA_FILE,
  CRL_FILE,
  FOLDER,
  roleFile,
  roleVariable,
  SCRIPT_FILE,
  serverLines,
  subjectPattern,
} from './x509-guide.ts';
import { x509Settings } from './x509-names.ts';
import { x509Slots } from './x509-slots.ts';

export interface X509BreakGlassOptions extends Omit<X509IssuerOptions, 'ca'> {
  cas: BreakGlassCas;
  /** The one behind usual logins. */
  x509Ca: X509Ca;
}

/** For all resources of a host: the CAs are the same. */
export const BREAK_GLASS_FILES = filesIn(`${FOLDER}/break-glass`, 'oncall-crl-break-glass', FOLDER);
const JOIN_SCRIPT = '/usr/local/sbin/oncall-x509-join';
const JOINED = { ca: `${FOLDER}/all-ca.pem`, crl: `${FOLDER}/all-crl.pem` };

export function createX509BreakGlass(options: X509BreakGlassOptions): BreakGlassIssuer {
  return {
    kind: 'x509',
    ...x509Slots(options.cas),
    async placeOf(resource, role) {
      const { url, caFile, roles } = x509Settings(resource);
      if (!roles.has(role)) throw new AppError('target_refused', `${resource.id} has no role ${role}`);
      const caPem = caFile === undefined ? undefined : await options.readCa(caFile);
      return { kind: 'x509', url, ...(caPem !== undefined && { caPem }) };
    },
    steps: (resource) => stepsFor(resource, options),
    check: (resource, signal) => checkX509BreakGlass(resource, signal, options),
  };
}

function stepsFor(resource: Resource, { cas, x509Ca, listUrl }: X509BreakGlassOptions) {
  const { url, servers } = x509Settings(resource);
  const { host } = new URL(url);
  const where = `a root shell on each server of ${servers.length === 0 ? host : servers.join(', ')}`;
  return [
    {
      title: 'break-glass: what joins both CAs, and both lists, whenever one of the lists is new',
      where,
      text: [
        writeFile(JOIN_SCRIPT, joinScript()),
        `chmod 755 ${JOIN_SCRIPT}`,
        `sed -i "s#^reload=.*#reload='${JOIN_SCRIPT}'#" ${SCRIPT_FILE}`,
      ].join('\n'),
    },
    ...pullSteps(BREAK_GLASS_FILES, cas.x509, listUrl, { where, reload: JOIN_SCRIPT }),
    {
      title: 'break-glass: who gets in, by issuer and subject, in place of the usual map',
      where,
      text: writeFile(roleFile(resource), roleMap(resource, x509Ca, cas.x509)),
    },
    {
      title: 'break-glass: nginx asks for certificates of both CAs, in place of the usual lines',
      where: `the server block of ${host}, then nginx -t && systemctl reload nginx`,
      text: serverLines(resource, JOINED.ca, JOINED.crl),
    },
  ];
}

/** nginx writes both names by RFC 2253, last part first; a comma within one is escaped, so that none holds another part. */
function roleMap(resource: Resource, usual: X509Ca, breakGlass: X509Ca): string {
  const { roles } = x509Settings(resource);
  const lines = [
    ...[...roles].map(([role, settings]) => [usual, subjectPattern(settings), role] as const),
    ...(resource.breakGlass?.roles ?? []).map(
      (role) => [breakGlass, `OU=[^,]+,CN=${breakGlassName({ resource: resource.id, role })}`, role] as const,
    ),
  ].map(([ca, subject, role]) => `  "~^CN=${ca.name} ${subject}$" ${role};\n`);
  return `map "$ssl_client_i_dn $ssl_client_s_dn" ${roleVariable(resource)} {\n  default "";\n${lines.join('')}}\n`;
}

/** Each file is whole or as before; what is not there yet comes with the first list. */
function joinScript(): string {
  const { ca, crl } = BREAK_GLASS_FILES;
  return `#!/bin/sh
# One file of CAs and one of revocation lists for a service that knows one of each, out of the usual ones and those of
# break-glass; then the service is told. Run by the scripts that pull the lists.
set -eu
umask 022
work=$(mktemp -d '${FOLDER}/.join.XXXXXX')
trap 'rm -rf "$work"' EXIT
cat '${CA_FILE}' '${ca}' > "$work/ca.pem"
cat '${CRL_FILE}' '${crl}' > "$work/crl.pem"
mv -f "$work/ca.pem" '${JOINED.ca}'
mv -f "$work/crl.pem" '${JOINED.crl}'
${RELOAD}
`;
}
