import { describe, expect, test } from 'vitest';
import { parse } from './edited.ts';

const ARN = 'arn:aws:iam::123456789012:role/oncall-read';

/** What a resource of these lines is read as, and the messages about it. */
function read(lines: string) {
  const { catalogue, findings } = parse(`
services: { orders: { schedules: [] } }
resources:
  aws-prod:
    type: aws
    service: orders
    environment: production
    sensitivity: high
${lines.replace(/^/gm, '    ')}
`);
  const messages = findings.filter(({ severity }) => severity === 'error').map(({ message }) => message);
  return { resource: catalogue?.resources.get('aws-prod'), messages };
}

const LINES = `region: eu-west-1
roles:
  read: { arn: "${ARN}", allow: ["rds:Describe*", "cloudwatch:Get*"] }
  admin: { arn: "arn:aws:iam::123456789012:role/break/oncall-admin" }`;

describe('an AWS account in the catalogue', () => {
  test('is read with its roles; sessions live 15 minutes unless it says longer', () => {
    const { resource, messages } = read(LINES);
    expect(messages).toEqual([]);
    expect(resource).toMatchObject({
      credentialSeconds: 900,
      defaultRole: 'read',
      target: {
        kind: 'aws',
        region: 'eu-west-1',
        endpoints: { sts: undefined, iam: undefined, signIn: undefined },
        broker: undefined,
      },
    });
    expect([...(resource?.target.roles ?? [])]).toEqual([
      ['read', { arn: ARN, allow: ['rds:Describe*', 'cloudwatch:Get*'], description: undefined }],
      [
        'admin',
        {
          arn: 'arn:aws:iam::123456789012:role/break/oncall-admin',
          allow: undefined,
          description: undefined,
        },
      ],
    ]);
  });

  test('may name its own addresses and key', () => {
    const { resource, messages } = read(`${LINES}
credential: 1h
endpoints: { sts: "https://vpce-1.sts.eu-west-1.vpce.amazonaws.com", iam: "http://127.0.0.1:4566" }
broker: { accessKeyId: AKIAIOSFODNN7EXAMPLE, secretAccessKey: { file: secrets/aws } }`);
    expect(messages).toEqual([]);
    expect(resource).toMatchObject({
      credentialSeconds: 3600,
      target: {
        endpoints: { sts: 'https://vpce-1.sts.eu-west-1.vpce.amazonaws.com', iam: 'http://127.0.0.1:4566' },
        broker: { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: { file: 'secrets/aws' } },
      },
    });
  });

  test.each([
    ['a session shorter than STS gives', `${LINES}\ncredential: 10m`, /shorter than 15m/],
    ['one longer than a chained role gives', `${LINES}\ncredential: 2h`, /longer than 1h/],
    ['no region', LINES.replace('region: eu-west-1\n', ''), /no region/],
    ['a region that is none', LINES.replace('eu-west-1', 'Europe'), /region/],
    ['an ARN of no role', LINES.replace(':role/oncall-read', ':user/ana'), /ARN/],
    [
      'roles of two accounts',
      LINES.replace('123456789012:role/break', '210987654321:role/break'),
      /several accounts/,
    ],
    ['an action that is none', LINES.replace('rds:Describe*', 'rds'), /action/],
    ['an empty list of actions', LINES.replace('["rds:Describe*", "cloudwatch:Get*"]', '[]'), /empty/],
    [
      'more actions than a session policy holds',
      LINES.replace(
        '"rds:Describe*"',
        Array.from({ length: 60 }, (_, n) => `"iam:GetSomethingLong${n}*"`).join(', '),
      ),
      /longer than a session policy/,
    ],
    ['an address in the clear', `${LINES}\nendpoints: { sts: "http://sts.example.com" }`, /https/],
    [
      'a key without its secret',
      `${LINES}\nbroker: { accessKeyId: AKIAIOSFODNN7EXAMPLE }`,
      /no secretAccessKey/,
    ],
    [
      'a secret in the catalogue itself',
      `${LINES}\nbroker: { accessKeyId: AKIAIOSFODNN7EXAMPLE, secretAccessKey: hunter2 }`,
      /where the secret is/,
    ],
  ])('is refused with %s', (_what, lines, message) => {
    expect(read(lines).messages).toEqual([expect.stringMatching(message)]);
  });

  test('that asks for a session as long as a session policy can be still fits into one', async () => {
    const { sessionPolicy } = await import('../../src/issuers/aws-names.ts');
    const action = (n: number) => `iam:GetSomethingLong${n}*`;
    const allow: string[] = [];
    for (let n = 10; allow.reduce((sum, text) => sum + text.length + 3, 0) < 1_470; n++)
      allow.push(action(n));
    const lines = LINES.replace('["rds:Describe*", "cloudwatch:Get*"]', JSON.stringify(allow));
    expect(read(lines).messages).toEqual([]);
    expect(sessionPolicy({ allow }, Date.now()).length).toBeLessThanOrEqual(2048);
  });
});
