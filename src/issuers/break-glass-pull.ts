/** How a server gets what it knows the break-glass CA by: its certificate, and the list of revocations, pulled again and again. */
import type { Resource } from '../catalogue/types.ts';
import { writeFile } from './guide-text.ts';
import type { TargetGuide } from './issuer.ts';
import { pullService, pullTimer } from './pull-units.ts';
import type { X509Ca } from './x509-ca.ts';
import { crlScript } from './x509-crl-script.ts';

const ROOT = '/etc/oncall-break-glass';

/** Each resource's own: several may be on one host, each with another service to tell. */
export function pulledFiles({ id }: Resource): { folder: string; ca: string; crl: string; unit: string } {
  const folder = `${ROOT}/${id}`;
  return { folder, ca: `${folder}/ca.pem`, crl: `${folder}/crl.pem`, unit: `oncall-crl-${id}` };
}

/** `reload`: what makes the service read the list again. */
export function pullSteps(
  resource: Resource,
  ca: X509Ca,
  listUrl: string,
  where: string,
  reload: string,
): TargetGuide['steps'] {
  const { folder, ca: caFile, unit } = pulledFiles(resource);
  const script = `/usr/local/sbin/${unit}`;
  const units = { what: 'list of revoked break-glass certificates', folder, script };
  return [
    {
      title: 'break-glass: its CA, and what pulls, verifies and swaps the list of what it has revoked',
      where: `${where} (needs curl and openssl); what makes the service read its files again is behind reload=`,
      text: [
        `install -d -m 755 ${folder}`,
        writeFile(caFile, ca.certificatePem),
        writeFile(script, crlScript(folder, listUrl, reload)),
        `chmod 755 ${script}`,
        writeFile(`/etc/systemd/system/${unit}.service`, pullService(units)),
        writeFile(`/etc/systemd/system/${unit}.timer`, pullTimer(units)),
      ].join('\n'),
    },
    {
      title:
        'break-glass: the first list, for without one the service refuses every certificate; then the timer',
      where,
      text: [
        `${script} || test -s ${folder}/crl.pem`,
        'systemctl daemon-reload',
        `systemctl enable --now ${unit}.timer`,
      ].join('\n'),
    },
  ];
}
