/** The unit by which systemd runs a broker (systemd.service(5), systemd.exec(5)): it writes into its own folder and sees little else. */
import { userInfo } from 'node:os';
import { HARDENING } from '../issuers/systemd-hardening.ts';
import { AppError } from '../protocol/errors.ts';
import { systemdWord } from '../protocol/systemd-word.ts';

const ACCOUNT = /^[A-Za-z_][A-Za-z0-9_-]{0,31}$/;

export interface UnitInput {
  /** Absolute. */
  directory: string;
  /** Command and arguments that start `oncall`. */
  program: readonly string[];
  /** Whoever owns the folder. */
  user: string;
}

/** What Node cannot do without: its compiler writes machine code. */
const FOR_NODE = HARDENING.replace('MemoryDenyWriteExecute=yes\n', '');

/** Throws AppError `usage` for what is no account's name, and `config_invalid` for a path that no unit can hold. */
export function brokerUnit({ directory, program, user }: UnitInput): string {
  if (!ACCOUNT.test(user)) throw new AppError('usage', 'not the name of an account');
  const words = [...program, 'broker', 'serve', directory];
  return `[Unit]
Description=oncall broker
Wants=network-online.target
After=network-online.target

[Service]
Type=exec
User=${user}
ExecStart=${words.map(systemdWord).join(' ')}
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=1
# In flight: a call to a target may take so long.
TimeoutStopSec=30
UMask=0077
LimitNOFILE=65536
${FOR_NODE}
ReadWritePaths=${systemdWord(directory)}

[Install]
WantedBy=multi-user.target
`;
}

export function ownName(): string {
  return userInfo().username;
}
