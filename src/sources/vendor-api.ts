/** A vendor's JSON API under one address, with its credentials in headers. */
import { isLoopback } from '../protocol/loopback.ts';
import { isName } from '../protocol/names.ts';
import type { SourceHttp } from './http.ts';
import { sourceFailed, understand } from './source-failure.ts';

export interface VendorApi {
  readonly name: string;
  /**
   * GET below the base address. `path` is of our own words and {@link pathSegment}s; of `query`, a list is given several
   * times. `parse` may throw AppError `invalid_request`. Undefined for 404; rejects with AppError `source_failed`.
   */
  get<T>(
    path: string,
    query: Query,
    signal: AbortSignal,
    parse: (json: unknown) => T,
  ): Promise<T | undefined>;
}

export type Query = Readonly<Record<string, string | readonly string[]>>;

export interface VendorApiOptions {
  name: string;
  http: SourceHttp;
  /** Without a query; a path in it stays. */
  baseUrl: string;
  /** Asked for each time, so that a renewed secret is used without a restart. */
  headers: () => Promise<Readonly<Record<string, string>>>;
}

export function createVendorApi({ name, http, baseUrl, headers }: VendorApiOptions): VendorApi {
  return {
    name,
    async get(path, query, signal, parse) {
      const url = parseSourceUrl(name, baseUrl);
      url.pathname = url.pathname.replace(/\/*$/, '') + path;
      for (const [key, values] of Object.entries(query))
        for (const value of [values].flat()) url.searchParams.append(key, value);
      const answer = await http.get({ url, headers: await headers(), signal });
      if (answer.kind !== 'body') return undefined;
      const json = parseJson(name, answer.body);
      return understand(name, () => parse(json));
    },
  };
}

/**
 * https, or http on loopback; no credentials in it. `webcal` is what calendars call https. Throws AppError `source_failed`
 * that doesn't show the text.
 */
export function parseSourceUrl(name: string, text: string): URL {
  const spelled = text.trim().replace(/^webcals?:/i, 'https:');
  const hint = `give ${name} an https:// address (http:// only on loopback), without a user in it`;
  // The error of URL's constructor holds the text: it must not be thrown, nor be a cause.
  if (!URL.canParse(spelled)) throw sourceFailed(name, 'has no usable address', { hint });
  const url = new URL(spelled);
  const plain = url.protocol === 'http:' && isLoopback(url.hostname);
  if ((url.protocol !== 'https:' && !plain) || url.username !== '' || url.password !== '')
    throw sourceFailed(name, 'has no usable address', { hint });
  return url;
}

/** An id as one segment of a path: it can name another thing, but not another kind of thing. */
export function pathSegment(name: string, id: string): string {
  if (!isName(id)) throw sourceFailed(name, 'cannot be asked for what is no id');
  return encodeURIComponent(id);
}

/** What goes into a header: one line of printable ASCII. */
export function headerText(name: string, secret: string): string {
  if (!/^[\x21-\x7e]+$/.test(secret))
    throw sourceFailed(name, 'has no usable secret', {
      hint: `write the token of ${name} alone, on one line, into the secret that the catalogue points to`,
    });
  return secret;
}

/** Plain JSON, not parseStrictJson: an odd title (half a surrogate pair) among the incidents must not hide all of them. */
function parseJson(name: string, body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    // Its error quotes the answer.
    throw sourceFailed(name, 'answered something else than JSON');
  }
}
