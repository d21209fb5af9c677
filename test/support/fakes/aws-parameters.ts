// Parameters of the AWS Query protocol, checked by the API references of STS and IAM.
import { parsePolicy, type Statement } from './aws-policy.ts';
import { AwsFault } from './aws-signature.ts';

export const ROLE_NAME = /^[\w+=,.@-]{1,64}$/;
const TAG_TEXT = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u;

export function readParameters(
  params: URLSearchParams,
  known: readonly string[],
): Record<string, string | undefined> {
  const names = [...params.keys()].filter(
    (name) => !/^(Action|Version|Tags\.member\.\d+\.(Key|Value))$/.test(name),
  );
  for (const name of names) {
    if (!known.includes(name)) throw validation(`unknown parameter ${name}`);
    if (params.getAll(name).length > 1) throw validation(`${name} is given twice`);
  }
  return Object.fromEntries(names.map((name) => [name, params.get(name) ?? undefined]));
}

export function readTags(params: URLSearchParams): Record<string, string> {
  const tags: Record<string, string> = {};
  for (let n = 1; params.has(`Tags.member.${n}.Key`); n++) {
    const key = params.get(`Tags.member.${n}.Key`) ?? '';
    const value = params.get(`Tags.member.${n}.Value`) ?? '';
    const known = Object.keys(tags).map((name) => name.toLowerCase());
    if (n > 50 || key === '' || key.length > 128 || value.length > 256 || known.includes(key.toLowerCase()))
      throw validation('Tags');
    if (!TAG_TEXT.test(key) || !TAG_TEXT.test(value) || /^aws:/i.test(key)) throw validation(`tag ${key}`);
    tags[key] = value;
  }
  return tags;
}

export function readSessionPolicy(text: string): Statement[] {
  if (text.length > 2048) throw validation('Policy is longer than 2048');
  return parsePolicy(text);
}

export function matching(value: string | undefined, form: RegExp, name: string): string {
  if (value === undefined || !form.test(value)) throw validation(`${name} failed to satisfy constraint`);
  return value;
}

export function validation(message: string): AwsFault {
  return new AwsFault('ValidationError', 400, message);
}
