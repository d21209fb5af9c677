/** The systemd units by which a host pulls a revocation list, again and again. */
import { HARDENING } from './systemd-hardening.ts';

export const PULL_SECONDS = 15;

export interface PullUnit {
  /** What is pulled, in words. */
  what: string;
  /** The one folder that the script writes to. */
  folder: string;
  script: string;
}

export function pullService({ what, folder, script }: PullUnit): string {
  return `[Unit]
Description=Pull the ${what} of oncall
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
ExecStart=${script}
TimeoutStartSec=30
UMask=0022
${HARDENING}
ReadWritePaths=${folder}
`;
}

export function pullTimer({ what }: Pick<PullUnit, 'what'>): string {
  return `[Unit]
Description=Pull the ${what} of oncall every ${PULL_SECONDS} seconds

[Timer]
OnBootSec=${PULL_SECONDS}s
OnUnitActiveSec=${PULL_SECONDS}s
AccuracySec=1s

[Install]
WantedBy=timers.target
`;
}
