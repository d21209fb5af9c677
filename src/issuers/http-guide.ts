/** What a tool's admin does to bring it in: nginx asks the broker about each request, or another proxy verifies by itself. */
import { isIP } from 'node:net';
import type { Resource } from '../catalogue/types.ts';
import { writeFile } from './guide-text.ts';
import type { HttpIssuerOptions } from './http.ts';
import { httpSettings } from './http-target.ts';
import type { TargetGuide } from './issuer.ts';

export const JWKS_PATH = '/.well-known/jwks.json';
export const VERIFY_PATH = '/v1/verify';
export const BROKER_CA_FILE = '/etc/nginx/oncall-broker.pem';
const SYSTEM_CA_FILE = '/etc/ssl/certs/ca-certificates.crt';

export function httpGuide(
  resource: Resource,
  { publicUrl, identityCertificate }: Pick<HttpIssuerOptions, 'publicUrl' | 'identityCertificate'>,
): TargetGuide {
  const { url, audience } = httpSettings(resource);
  const { host } = new URL(url);
  const trust = {
    title: 'the certificate by which nginx knows the broker, whatever its TLS key is then',
    where: `a root shell on the host of ${host}`,
    text: writeFile(BROKER_CA_FILE, `${(identityCertificate ?? '').trim()}\n`),
  };
  return {
    steps: [
      ...(identityCertificate === undefined ? [] : [trust]),
      {
        title: 'nginx asks the broker about each request',
        where: `the server block of ${host}`,
        text: verifyLocation(resource.id, publicUrl, identityCertificate !== undefined),
      },
      {
        title: 'what is protected, and who comes: the tool is told, and never sees the token',
        where: `each location of ${host}, then nginx -t && systemctl reload nginx`,
        text: protectedLines(),
      },
      {
        title:
          'or, for a proxy that verifies tokens by itself: they then count until they expire, whatever was ended',
        where: 'its configuration',
        text: [
          `# issuer:     ${publicUrl}`,
          `# audience:   ${audience}`,
          `# keys:       ${new URL(JWKS_PATH, publicUrl).href}`,
          '# algorithm:  ES256 and no other; type at+jwt (RFC 9068)',
          `# resource:   the claim "resource" is ${resource.id}`,
          '# person:     sub; role: role; where it leads back to: grant, incident, jti',
        ].join('\n'),
      },
      { title: 'prove it', where: "the broker's host", text: `oncall broker target ${resource.id} --check` },
    ],
  };
}

function verifyLocation(resource: string, publicUrl: string, isOwnTls: boolean): string {
  const verify = new URL(`${VERIFY_PATH}/${resource}`, publicUrl);
  const name = verify.hostname.replace(/^\[(.*)\]$/, '$1');
  // nginx compares names alone, and the broker's certificate is good for that one too.
  const checked = isOwnTls && isIP(name) !== 0 ? 'localhost' : name;
  const tls = [
    `  proxy_ssl_trusted_certificate ${isOwnTls ? BROKER_CA_FILE : SYSTEM_CA_FILE};`,
    '  proxy_ssl_verify on;',
    '  proxy_ssl_server_name on;',
    `  proxy_ssl_name ${checked};`,
  ];
  return [
    'location = /_oncall_verify {',
    '  internal;',
    `  proxy_pass ${verify.href};`,
    '  proxy_pass_request_body off;',
    '  proxy_pass_request_headers off;',
    '  proxy_set_header Authorization $http_authorization;',
    // Answers are for this moment: one that is kept lets in who has been shut out.
    '  proxy_cache off;',
    ...(verify.protocol === 'https:' ? tls : []),
    '}',
  ].join('\n');
}

function protectedLines(): string {
  const names = ['user', 'role', 'grant', 'incident'];
  return [
    'auth_request /_oncall_verify;',
    ...names.map((name) => `auth_request_set $oncall_${name} $upstream_http_x_oncall_${name};`),
    ...names.map(
      (name) => `proxy_set_header X-Oncall-${name[0]?.toUpperCase()}${name.slice(1)} $oncall_${name};`,
    ),
    'proxy_set_header Authorization "";',
  ].join('\n');
}
