import { createHash } from 'node:crypto';

const KEY = /^[\w:-]{1,200}$/;

/**
 * A notice's id as receivers are told it, the same for each repeat. It stands in headers and in signed bytes that are
 * divided by full stops, so an id of any other form is told by its SHA-256.
 */
export function noticeKey(id: string): string {
  return KEY.test(id) ? id : createHash('sha256').update(id).digest('hex');
}
