/**
 * Every command's name and one line about it, without loading any: what `--help` prints and where the parser finds the one
 * file to load. Sections and order are those of the help page.
 */
import type { AnyCommand } from './command.ts';

export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  readonly aliases?: readonly string[];
  /** A command itself, or (`children`) a word that other commands stand behind; or both. */
  readonly load?: () => Promise<AnyCommand>;
  readonly children?: readonly CommandEntry[];
}

export interface CommandSection {
  readonly title: string;
  readonly commands: readonly CommandEntry[];
}

export const sections: readonly CommandSection[] = [
  {
    title: 'Access',
    commands: [
      {
        name: 'request',
        summary: 'ask for access to one or more resources',
        load: async () => (await import('./commands/request.ts')).requestCommand,
      },
      {
        name: 'break-glass',
        summary: 'open at once what cannot wait: everybody hears of it, and it is reviewed',
        load: async () => (await import('./commands/break-glass.ts')).breakGlassCommand,
        children: [
          {
            name: 'list',
            summary: 'what break-glass left at the resources, and what has to be cleaned up',
            load: async () => (await import('./commands/break-glass-list.ts')).breakGlassListCommand,
          },
          {
            name: 'rotate',
            summary: 'a resource is cleaned up: take back every pack from before',
            load: async () => (await import('./commands/break-glass-rotate.ts')).breakGlassRotateCommand,
          },
        ],
      },
      {
        name: 'run',
        summary: 'run a command with access to its targets',
        aliases: ['exec'],
        load: async () => (await import('./commands/run.ts')).runCommand,
      },
      {
        name: 'connect',
        summary: 'open the client that fits a resource',
        load: async () => (await import('./commands/connect.ts')).connectCommand,
      },
      {
        name: 'status',
        summary: 'what you hold right now (reads a local file)',
        aliases: ['ls'],
        load: async () => (await import('./commands/status.ts')).statusCommand,
      },
      {
        name: 'held',
        summary: 'whether access is at hand here, else how to get it (reads a local file)',
        load: async () => (await import('./commands/held.ts')).heldCommand,
      },
      {
        name: 'grants',
        summary: 'your grants at the broker',
        load: async () => (await import('./commands/grants.ts')).grantsCommand,
      },
      {
        name: 'renew',
        summary: 'refresh a credential and extend its session window',
        load: async () => (await import('./commands/renew.ts')).renewCommand,
      },
      {
        name: 'release',
        summary: 'give access back before it ends',
        load: async () => (await import('./commands/release.ts')).releaseCommand,
      },
      {
        name: 'credential',
        summary: 'print a credential for another tool',
        load: async () => (await import('./commands/credential.ts')).credentialCommand,
      },
      {
        name: 'console',
        summary: "open a target's own web console",
        load: async () => (await import('./commands/console.ts')).consoleCommand,
      },
      {
        name: 'resources',
        summary: 'what can be asked for',
        load: async () => (await import('./commands/resources.ts')).resourcesCommand,
      },
      {
        name: 'explain',
        summary: 'why a request is granted, asked or denied',
        load: async () => (await import('./commands/explain.ts')).explainCommand,
      },
    ],
  },
  {
    title: 'Requests and approvals',
    commands: [
      {
        name: 'wait',
        summary: 'wait for the answer to a request',
        load: async () => (await import('./commands/wait.ts')).waitCommand,
      },
      {
        name: 'cancel',
        summary: 'withdraw a pending request',
        load: async () => (await import('./commands/cancel.ts')).cancelCommand,
      },
      {
        name: 'approvals',
        summary: 'requests that wait for your answer',
        load: async () => (await import('./commands/approvals.ts')).approvalsCommand,
      },
      {
        name: 'approve',
        summary: 'approve a request',
        load: async () => (await import('./commands/approve.ts')).approveCommand,
      },
      {
        name: 'deny',
        summary: 'deny a request',
        load: async () => (await import('./commands/deny.ts')).denyCommand,
      },
      {
        name: 'revoke',
        summary: "end other people's access",
        load: async () => (await import('./commands/revoke.ts')).revokeCommand,
      },
      {
        name: 'incident',
        summary: 'declare, list, show, resolve and reopen incidents',
        children: [
          {
            name: 'declare',
            summary: 'open an incident',
            load: async () => (await import('./commands/incident-declare.ts')).incidentDeclareCommand,
          },
          {
            name: 'list',
            summary: 'open incidents',
            load: async () => (await import('./commands/incident-list.ts')).incidentListCommand,
          },
          {
            name: 'show',
            summary: 'one incident',
            load: async () => (await import('./commands/incident-show.ts')).incidentShowCommand,
          },
          {
            name: 'resolve',
            summary: 'close an incident',
            load: async () => (await import('./commands/incident-resolve.ts')).incidentResolveCommand,
          },
          {
            name: 'reopen',
            summary: 'open a closed incident again',
            load: async () => (await import('./commands/incident-reopen.ts')).incidentReopenCommand,
          },
        ],
      },
      {
        name: 'reviews',
        summary: 'look at what was opened past the usual yes',
        children: [
          {
            name: 'list',
            summary: 'open reviews that concern you',
            load: async () => (await import('./commands/reviews-list.ts')).reviewsListCommand,
          },
          {
            name: 'show',
            summary: 'what one of them is about',
            load: async () => (await import('./commands/reviews-show.ts')).reviewsShowCommand,
          },
          {
            name: 'close',
            summary: 'say what it was',
            load: async () => (await import('./commands/reviews-close.ts')).reviewsCloseCommand,
          },
        ],
      },
    ],
  },
  {
    title: 'This device',
    commands: [
      {
        name: 'enroll',
        summary: 'register this device with an invitation',
        load: async () => (await import('./commands/enroll.ts')).enrollCommand,
      },
      {
        name: 'setup',
        summary: 'make ssh, psql and other plain tools find what you hold',
        load: async () => (await import('./commands/setup.ts')).setupCommand,
      },
      {
        name: 'completion',
        summary: 'print what makes a shell complete commands and names',
        load: async () => (await import('./commands/completion.ts')).completionCommand,
      },
      {
        name: 'whoami',
        summary: 'who you are to the broker, and your shifts',
        load: async () => (await import('./commands/whoami.ts')).whoamiCommand,
      },
      {
        name: 'doctor',
        summary: 'what is wrong on this machine, and what to type about it',
        load: async () => (await import('./commands/doctor.ts')).doctorCommand,
      },
      {
        name: 'devices',
        summary: 'list, revoke and add your devices',
        children: [
          {
            name: 'list',
            summary: 'your devices',
            load: async () => (await import('./commands/devices-list.ts')).devicesListCommand,
          },
          {
            name: 'revoke',
            summary: 'revoke a device',
            load: async () => (await import('./commands/devices-revoke.ts')).devicesRevokeCommand,
          },
          {
            name: 'add',
            summary: 'print an invitation for your next device',
            load: async () => (await import('./commands/devices-add.ts')).devicesAddCommand,
          },
        ],
      },
      {
        name: 'agent',
        summary: 'keep what you hold alive in the background (started by commands)',
        load: async () => (await import('./commands/agent.ts')).agentCommand,
        children: [
          {
            name: 'status',
            summary: 'whether it runs, and what it keeps',
            load: async () => (await import('./commands/agent-status.ts')).agentStatusCommand,
          },
          {
            name: 'stop',
            summary: 'end it; what is held stays',
            load: async () => (await import('./commands/agent-stop.ts')).agentStopCommand,
          },
          {
            name: 'logs',
            summary: 'what it has done',
            load: async () => (await import('./commands/agent-logs.ts')).agentLogsCommand,
          },
          {
            name: 'install',
            summary: 'write a systemd or launchd job that starts it at login',
            load: async () => (await import('./commands/agent-install.ts')).agentInstallCommand,
          },
        ],
      },
    ],
  },
  {
    title: 'Audit and operation',
    commands: [
      {
        name: 'probe',
        summary: 'whether the broker does its work, for a monitor',
        load: async () => (await import('./commands/probe.ts')).probeCommand,
      },
      {
        name: 'audit',
        summary: 'list, search, export and verify the audit log',
        children: [
          {
            name: 'list',
            summary: 'the newest entries',
            load: async () => (await import('./commands/audit-list.ts')).auditListCommand,
          },
          {
            name: 'export',
            summary: 'write the log to a file',
            load: async () => (await import('./commands/audit-export.ts')).auditExportCommand,
          },
          {
            name: 'who',
            summary: 'who acted under a name at a target',
            load: async () => (await import('./commands/audit-who.ts')).auditWhoCommand,
          },
          {
            name: 'verify',
            summary: 'verify an exported log, offline',
            load: async () => (await import('./commands/audit-verify.ts')).auditVerifyCommand,
          },
        ],
      },
      {
        name: 'drill',
        summary: 'break-glass at a canary, timed, as if there were no broker',
        load: async () => (await import('./commands/drill.ts')).drillCommand,
      },
      {
        name: 'rollout',
        summary: 'the phase of each resource, and what is missing for the next one',
        load: async () => (await import('./commands/rollout.ts')).rolloutCommand,
      },
      {
        name: 'host',
        summary: 'at a target: tell the broker who logs in, end what is over',
        children: hostEntries(),
      },
      {
        name: 'broker',
        summary: 'set up and run a broker',
        children: brokerEntries(),
      },
    ],
  },
];

type BrokerCommandName = keyof typeof import('./commands/broker.ts')['brokerCommands'];

function brokerEntries(): CommandEntry[] {
  const entry = (command: BrokerCommandName, name: string, summary: string): CommandEntry => ({
    name,
    summary,
    load: async () => (await import('./commands/broker.ts')).brokerCommands[command],
  });
  return [
    entry('init', 'init', 'write a new broker directory and print the first invitation'),
    entry('check', 'check', 'validate configuration, catalogue and policies'),
    entry('serve', 'serve', 'run the broker'),
    entry('unit', 'unit', 'print the unit by which systemd runs it'),
    entry('invite', 'invite', 'print an invitation for a person'),
    entry('target', 'target', 'what a resource needs from its admin, and whether it has it'),
    {
      name: 'host',
      summary: 'hosts that report who logs in there',
      children: [
        entry('hostAdd', 'add', 'take the reports of a host'),
        entry('hostList', 'list', 'which hosts report, and when each did last'),
        entry('hostRemove', 'remove', 'take no more reports of a host'),
      ],
    },
    entry('migrate', 'migrate', 'bring the store up to date'),
    entry('backup', 'backup', 'write a backup'),
    entry('restore', 'restore', 'restore a backup'),
    {
      name: 'rotate',
      summary: 'rotate keys',
      children: [
        entry('rotateTls', 'tls', 'a new TLS key'),
        entry('rotateTokens', 'tokens', 'the next key for tokens, or the first'),
      ],
    },
  ];
}

function hostEntries(): CommandEntry[] {
  const entry = (name: 'init' | 'run' | 'status', summary: string): CommandEntry => ({
    name,
    summary,
    load: async () => (await import('./commands/host.ts')).hostCommands[name],
  });
  return [
    entry('init', 'make a key, and print what to type at the broker'),
    entry('run', 'run it (a systemd unit does)'),
    entry('status', 'what it has done last (reads a local file)'),
  ];
}
