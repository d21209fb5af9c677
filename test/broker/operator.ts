import { brokerCheck, brokerHostAdd, brokerHostRemove } from '../../src/broker/commands.ts';

/** What an operator does on the broker's host. */
export function operator({ directory }: { directory: string }) {
  const host = {
    out: () => undefined,
    err: () => undefined,
    env: {},
    program: ['oncall'],
    now: Date.now,
    signal: new AbortController().signal,
    onReload: () => undefined,
  };
  return {
    hostAdd: (resource: string, name: string, publicKey: string) =>
      brokerHostAdd({ directory, resource, name, publicKey }, host),
    hostRemove: (resource: string, name: string) => brokerHostRemove({ directory, resource, name }, host),
    check: () => brokerCheck({ directory }, host),
  };
}
