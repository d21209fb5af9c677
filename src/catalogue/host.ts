import { isIP } from 'node:net';

const HOST_NAME = /^(?!-)[A-Za-z0-9.-]{1,253}$/;

export function isHost(text: string): boolean {
  return isIP(text) !== 0 || HOST_NAME.test(text);
}
