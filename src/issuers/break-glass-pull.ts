/** How a server gets what it knows the break-glass CA by: its certificate, and the list of revocations, pulled again and again. */
import type { Resource } from '../catalogue/types.ts';
import { writeFile } from './guide-text.ts';
import type { TargetGuide } from './issuer.ts';
import { pullService, pullTimer } from './pull-units.ts';
import type { X509Ca } from './x509-ca.ts';
import { crlScript } from './x509-crl-script.ts';

const ROOT = '/etc/oncall-break-glass';

export interface PulledFiles {
  folder: string;
  ca: string;
  crl: string;
  unit: string;
  /** What the script, and what it runs then, may write to. */
  writes: string;
}

/** Each resource's own: several may be on one host, each with another service to tell. */
export function pulledFiles({ id }: Resource): PulledFiles {
  const folder = `${ROOT}/${id}`;
  return filesIn(folder, `oncall-crl-${id}`, folder);
}

export function filesIn(folder: string, unit: string, writes: string): PulledFiles {
  return { folder, ca: `${folder}/ca.pem`, crl: `${folder}/crl.pem`, unit, writes };
}

/** `reload`: what makes the service read the list again. */
export function pullSteps(
  { folder, ca: caFile, crl, unit, writes }: PulledFiles,
  ca: X509Ca,
  listUrl: string,
  { where, reload }: { where: string; reload: string },
): TargetGuide['steps'] {
  const script = `/usr/local/sbin/${unit}`;
  const units = { what: 'list of revoked break-glass certificates', folder: writes, script };
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
        `${script} || test -s ${crl}`,
        'systemctl daemon-reload',
        `systemctl enable --now ${unit}.timer`,
      ].join('\n'),
    },
  ];
}
