/**
 * What a host's admin runs so that the host tells the broker who logs in there: the target's own record, beside that of the broker and
 * that of the devices. For the kinds of targets that have a log which we can read.
 */
import { createPublicKey, type KeyObject } from 'node:crypto';
import type { Resource } from '../catalogue/types.ts';
import { formatPublicKey } from '../protocol/keys.ts';
import { writeFile } from './guide-text.ts';
import type { TargetGuide } from './issuer.ts';
import { FOLDER } from './ssh-guide.ts';
import { HARDENING } from './systemd-hardening.ts';

const CONFIG_FILE = '/etc/oncall/host.json';
const UNIT_FILE = '/etc/systemd/system/oncall-host.service';
const STATE = '/var/lib/oncall-host';
/** In its data folder unless `log_directory` says otherwise. */
const POSTGRES_LOG = '/var/log/postgresql/oncall-*.json';

export interface HostGuideOptions {
  publicUrl: string;
  identityKey: KeyObject;
  /** PEM; undefined where the broker does not serve TLS itself. */
  identityCertificate: string | undefined;
}

/** No steps for the kinds that have no host of their own. */
export function hostGuide(resource: Resource, options: HostGuideOptions): TargetGuide['steps'] {
  const { kind } = resource.target;
  if (kind !== 'ssh' && kind !== 'postgres') return [];
  const where = kind === 'ssh' ? 'a root shell on each of the hosts' : 'a root shell on its host';
  return [
    ...(kind === 'postgres' ? [postgresLog()] : []),
    {
      title:
        'what tells the broker who logs in here, and ends what is over (needs Node.js; npm install -g oncall)',
      where: `${where}; where ${CONFIG_FILE} is there for another target already, add the "${kind}" of this one to it`,
      text: [
        'install -d -m 755 /etc/oncall',
        `[ -e ${CONFIG_FILE} ] || ${writeFile(CONFIG_FILE, `${configText(kind, options)}\n`)}`,
        writeFile(UNIT_FILE, hostService()),
        'systemctl daemon-reload',
        `oncall host init --resource ${resource.id}`,
      ].join('\n'),
    },
    {
      title: 'the broker takes what this host says',
      where:
        "the broker's host: the line that the last one printed, with the host's name as the catalogue has it",
      text: `oncall broker host add ${resource.id} NAME --key ed25519:…`,
    },
    { title: 'start it', where, text: 'systemctl enable --now oncall-host.service\noncall host status' },
  ];
}

/** As text alone a line of the log could be forged by whoever chooses the name that stands in it. */
function postgresLog(): TargetGuide['steps'][number] {
  return {
    title: 'PostgreSQL (15 or newer) writes down who logs in, as JSON',
    where: 'psql, as a superuser; then restart the server once, if logging_collector was off',
    text: [
      "ALTER SYSTEM SET log_connections = 'on';",
      "ALTER SYSTEM SET logging_collector = 'on';",
      "ALTER SYSTEM SET log_destination = 'stderr,jsonlog';",
      "ALTER SYSTEM SET log_directory = '/var/log/postgresql';",
      "ALTER SYSTEM SET log_filename = 'oncall-%Y-%m-%d.log';",
      'SELECT pg_reload_conf();',
    ].join('\n'),
  };
}

function configText(kind: 'ssh' | 'postgres', options: HostGuideOptions): string {
  const { publicUrl, identityKey, identityCertificate } = options;
  const publicHalf = identityKey.type === 'private' ? createPublicKey(identityKey) : identityKey;
  const config = {
    version: 1,
    broker: publicUrl,
    identityKey: formatPublicKey(publicHalf),
    ...(identityCertificate === undefined ? { ca: 'system' } : { identityCertificate, ca: 'pinned' }),
    state: STATE,
    ...(kind === 'ssh' ? { ssh: { folder: FOLDER, log: 'journal' } } : { postgres: { log: POSTGRES_LOG } }),
  };
  return JSON.stringify(config, null, 2);
}

/**
 * It reads other people's logs and processes, and ends the latter: so much it may, on top of {@link HARDENING}. Node writes the code
 * that it runs.
 */
export function hostService(): string {
  return `[Unit]
Description=Tell the broker of oncall who logs in here
Wants=network-online.target
After=network-online.target

[Service]
Type=exec
ExecStart=/usr/bin/env oncall host run --config ${CONFIG_FILE}
Restart=always
RestartSec=5
UMask=0022
StateDirectory=oncall-host
StateDirectoryMode=0700
${HARDENING}
CapabilityBoundingSet=CAP_KILL CAP_DAC_READ_SEARCH
ProtectProc=default
MemoryDenyWriteExecute=no
SystemCallErrorNumber=EPERM
ReadWritePaths=-${FOLDER}

[Install]
WantedBy=multi-user.target
`;
}
