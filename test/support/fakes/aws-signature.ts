// Signature Version 4 as AWS checks it (IAM User Guide, "Signing AWS API requests"): the canonical request is built from what
// came over the wire, and everything that the documentation asks for must be signed.
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

export interface WireRequest {
  method: string;
  /** Path and query as sent. */
  target: string;
  /** Names in lower case. */
  headers: Readonly<Record<string, string>>;
  body: string;
}

export interface SignedBy {
  accessKeyId: string;
  service: string;
  region: string;
}

/** What AWS answers: its code, its status, its words. */
export class AwsFault extends Error {
  readonly code: string;
  readonly status: number;

  constructor(code: string, status: number, message: string) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 Credential=([A-Z0-9]{3,128})\/(\d{8})\/([a-z0-9-]+)\/([a-z0-9-]+)\/aws4_request, SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})$/;
const WINDOW_MS = 5 * 60_000;

/** `secretOf` throws AwsFault for a key that it does not know. Answers who signed, for which service and region. */
export function verifySignature(
  request: WireRequest,
  secretOf: (accessKeyId: string, token: string | undefined) => string,
  nowMs: number,
): SignedBy {
  const { headers } = request;
  if (headers.authorization === undefined)
    throw new AwsFault('MissingAuthenticationToken', 403, 'Request is missing Authentication Token');
  const match = AUTHORIZATION.exec(headers.authorization);
  if (!match) throw new AwsFault('IncompleteSignature', 400, 'Authorization header is not as documented');
  const [, accessKeyId = '', day = '', region = '', service = '', names = '', signature = ''] = match;
  const secret = secretOf(accessKeyId, headers['x-amz-security-token']);

  const at = headers['x-amz-date'] ?? '';
  const time = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(at);
  if (!time) throw new AwsFault('IncompleteSignature', 400, 'X-Amz-Date is not as documented');
  const [, y, mo, d, h, mi, s] = time;
  if (`${y}${mo}${d}` !== day)
    throw new AwsFault('SignatureDoesNotMatch', 403, 'Date in Credential scope does not match X-Amz-Date');
  const signedMs = Date.parse(`${y}-${mo}-${d}T${h}:${mi}:${s}Z`);
  if (Math.abs(nowMs - signedMs) > WINDOW_MS) {
    const words =
      signedMs < nowMs
        ? `Signature expired: ${at} is now earlier than`
        : `Signature not yet current: ${at} is still later than`;
    throw new AwsFault('SignatureDoesNotMatch', 403, `${words} the server's window`);
  }

  const signed = names.split(';');
  const sorted = [...signed].sort();
  if (sorted.join(';') !== names) throw new AwsFault('SignatureDoesNotMatch', 403, 'headers are not sorted');
  // All x-amz-* headers, host, and the content type where there is one.
  const needed = Object.keys(headers).filter(
    (name) => name === 'host' || name === 'content-type' || name.startsWith('x-amz-'),
  );
  const unsigned = needed.filter((name) => !signed.includes(name));
  if (unsigned.length > 0 || !signed.includes('host'))
    throw new AwsFault('SignatureDoesNotMatch', 403, `not signed: ${unsigned.join(', ')}`);
  const payload = sha256(request.body);
  if ((headers['x-amz-content-sha256'] ?? payload) !== payload)
    throw new AwsFault('XAmzContentSHA256Mismatch', 400, 'the body is another one');

  const [path = '/', query = ''] = request.target.split('?');
  const canonical = [
    request.method,
    path,
    query.split('&').filter(Boolean).sort().join('&'),
    ...signed.map((name) => `${name}:${(headers[name] ?? '').trim().replace(/ +/g, ' ')}`),
    '',
    names,
    payload,
  ].join('\n');
  const toSign = ['AWS4-HMAC-SHA256', at, `${day}/${region}/${service}/aws4_request`, sha256(canonical)].join(
    '\n',
  );
  const key = [day, region, service, 'aws4_request'].reduce<Buffer | string>(hmac, `AWS4${secret}`);
  if (!timingSafeEqual(hmac(key, toSign), Buffer.from(signature, 'hex'))) {
    throw new AwsFault(
      'SignatureDoesNotMatch',
      403,
      'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method.',
    );
  }
  return { accessKeyId, service, region };
}

function hmac(key: Buffer | string, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
