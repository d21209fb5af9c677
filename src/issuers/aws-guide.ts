/**
 * What an AWS account's admin does to bring it in: a policy for the broker that lets it assume these roles and end sessions of
 * them, and for each role a trust policy that lets in nobody but the broker, and only with a name that leads back.
 */
import type { Resource } from '../catalogue/types.ts';
import { awsSettings, HANDLE_PATTERN, roleNameOf, TAG_KEYS } from './aws-names.ts';
import { INSTALL } from './aws-sdk.ts';
import type { TargetGuide } from './issuer.ts';

export const BROKER_PLACEHOLDER = 'arn:aws:iam::123456789012:role/CHANGE-ME';
const ASSUME = ['sts:AssumeRole', 'sts:TagSession', 'sts:SetSourceIdentity'];
const END = ['iam:ListRolePolicies', 'iam:GetRolePolicy', 'iam:PutRolePolicy', 'iam:DeleteRolePolicy'];

export function awsGuide(resource: Resource): TargetGuide {
  const settings = awsSettings(resource);
  const arns = [...new Set([...settings.roles.values()].map(({ arn }) => arn))];
  const seconds = Math.max(3600, resource.credentialSeconds);
  return {
    steps: [
      { title: 'the AWS SDK, which oncall comes without', where: "the broker's host", text: INSTALL },
      {
        title: "the broker's own policy, and nothing else",
        where:
          "the AWS CLI, in the account of the roles, for IAM reaches no other; put the broker's role there in place of CHANGE-ME",
        text: [
          writeFile('oncall-broker.json', brokerPolicy(arns)),
          'aws iam put-role-policy --role-name CHANGE-ME --policy-name oncall-broker --policy-document file://oncall-broker.json',
        ].join('\n'),
      },
      ...arns.map((arn) => ({
        title: `the role ${roleNameOf(arn)}: who may assume it, and for how long`,
        where: `the AWS CLI, in account ${arn.split(':')[4]}; put the broker's ARN in place of ${BROKER_PLACEHOLDER}`,
        text: [
          writeFile(trustFile(arn), trustPolicy()),
          `aws iam create-role --role-name ${roleNameOf(arn)}${pathOption(arn)} --max-session-duration ${seconds} --assume-role-policy-document file://${trustFile(arn)}`,
          `# there already: aws iam update-assume-role-policy --role-name ${roleNameOf(arn)} --policy-document file://${trustFile(arn)}`,
          '# what it may do is your decision, for example:',
          `aws iam attach-role-policy --role-name ${roleNameOf(arn)} --policy-arn arn:${arn.split(':')[1]}:iam::aws:policy/ReadOnlyAccess`,
          '# the broker writes denies into it: a permissions boundary keeps whoever takes over the broker from writing more',
          `aws iam put-role-permissions-boundary --role-name ${roleNameOf(arn)} --permissions-boundary arn:${arn.split(':')[1]}:iam::aws:policy/ReadOnlyAccess`,
        ].join('\n'),
      })),
      { title: 'prove it', where: "the broker's host", text: `oncall broker target ${resource.id} --check` },
    ],
  };
}

/** Assuming these roles, and ending their sessions. */
export function brokerPolicy(arns: readonly string[]): object {
  return {
    Version: '2012-10-17',
    Statement: [
      { Sid: 'Issue', Effect: 'Allow', Action: ASSUME, Resource: arns },
      { Sid: 'End', Effect: 'Allow', Action: END, Resource: arns },
    ],
  };
}

/** `sts:SourceIdentity` and the tag must be there, or the broker does not get in either. */
export function trustPolicy(broker: string = BROKER_PLACEHOLDER): object {
  const [, grantKey] = TAG_KEYS;
  return {
    Version: '2012-10-17',
    Statement: [
      {
        Sid: 'OncallBroker',
        Effect: 'Allow',
        Principal: { AWS: broker },
        Action: ASSUME,
        Condition: {
          StringLike: { 'sts:SourceIdentity': HANDLE_PATTERN, [`aws:RequestTag/${grantKey}`]: 'gr_*' },
          'ForAllValues:StringEquals': { 'aws:TagKeys': [...TAG_KEYS] },
        },
      },
    ],
  };
}

export function trustFile(arn: string): string {
  return `trust-${roleNameOf(arn)}.json`;
}

function pathOption(arn: string): string {
  const path = arn.slice(arn.indexOf(':role/') + 5, arn.lastIndexOf('/') + 1);
  return path === '/' ? '' : ` --path ${path}`;
}

function writeFile(name: string, content: object): string {
  return `cat > ${name} <<'ONCALL'\n${JSON.stringify(content, null, 2)}\nONCALL`;
}
