/**
 * Break-glass at AWS: IAM Roles Anywhere takes a certificate of a trust anchor, and each role's trust policy the one common name
 * that it is for (User Guide, "Attribute mapping and trust policy"). The source identity is then that name, and the session's name
 * the certificate's serial, which leads to pack and slot. `aws_signing_helper credential-process` turns the one into the other.
 */
import type { Resource } from '../catalogue/types.ts';
import { breakGlassName } from '../protocol/break-glass-names.ts';
import { AppError } from '../protocol/errors.ts';
import { trustFile, trustPolicy } from './aws-guide.ts';
import { awsRole, awsSettings, roleNameOf } from './aws-names.ts';
import type { BreakGlassCas, BreakGlassIssuer } from './break-glass.ts';
import { writeFile } from './guide-text.ts';
import { fulfilled, missing } from './requirement.ts';
import { x509Slots } from './x509-slots.ts';

/** The least there is: a session outlives its certificate by no more. */
const SESSION_SECONDS = 900;
const ANCHOR_PLACEHOLDER = 'arn:aws:rolesanywhere:REGION:123456789012:trust-anchor/CHANGE-ME';

export function createAwsBreakGlass({
  cas,
  listUrl,
}: {
  cas: BreakGlassCas;
  /** Where the list of revocations is served. */
  listUrl: string;
}): BreakGlassIssuer {
  return {
    kind: 'aws',
    ...x509Slots(cas),
    async placeOf(resource, role) {
      const { arn, rolesAnywhere } = awsRole(resource, role);
      if (rolesAnywhere === undefined)
        throw new AppError('target_refused', `${resource.id}:${role} has no rolesAnywhere in the catalogue`);
      return { kind: 'aws', region: awsSettings(resource).region, role: arn, ...rolesAnywhere };
    },
    steps: (resource) => [
      {
        title: 'break-glass: its CA as a trust anchor of IAM Roles Anywhere',
        where: `the AWS CLI, in region ${awsSettings(resource).region}`,
        text: [
          writeFile('oncall-break-glass.json', `${JSON.stringify(anchorSource(cas))}\n`),
          'aws rolesanywhere create-trust-anchor --name oncall-break-glass --enabled --source file://oncall-break-glass.json',
        ].join('\n'),
      },
      ...(resource.breakGlass?.roles ?? []).map((role) => roleStep(resource, role)),
      {
        title: 'break-glass: the list of what was revoked, again whenever it is new (AWS pulls none)',
        where: 'a timer, with the AWS CLI; put the ARN of the trust anchor in',
        text: [
          `curl --silent --show-error --fail --insecure ${listUrl} | openssl crl -inform DER -out oncall-crl.pem`,
          `aws rolesanywhere import-crl --name oncall-break-glass --enabled --crl-data fileb://oncall-crl.pem --trust-anchor-arn ${ANCHOR_PLACEHOLDER}`,
          '# from then on: aws rolesanywhere update-crl --crl-id … --crl-data fileb://oncall-crl.pem',
        ].join('\n'),
      },
    ],
    // Nothing that the broker may do there would show it.
    check: async (resource) =>
      (resource.breakGlass?.roles ?? []).map((role) => {
        const title = `break-glass as ${role}`;
        return awsRole(resource, role).rolesAnywhere === undefined
          ? missing(
              title,
              'the catalogue does not say which trust anchor and profile',
              `rolesAnywhere: { trustAnchor: …, profile: … }   # in roles.${role}`,
            )
          : fulfilled(title, 'set in the catalogue; not proven from here: try it by oncall drill');
      }),
  };
}

function anchorSource({ x509 }: BreakGlassCas): object {
  return { sourceType: 'CERTIFICATE_BUNDLE', sourceData: { x509CertificateData: x509.certificatePem } };
}

function roleStep(resource: Resource, role: string) {
  const { arn, allow } = awsRole(resource, role);
  const name = breakGlassName({ resource: resource.id, role });
  const narrowed =
    allow === undefined
      ? ''
      : ` --session-policy '${JSON.stringify({
          Version: '2012-10-17',
          Statement: [{ Effect: 'Allow', Action: allow, Resource: '*' }],
        })}'`;
  return {
    title: `break-glass: the role ${roleNameOf(arn)} for ${name}, and for nobody else of that CA`,
    where: `the AWS CLI, in account ${arn.split(':')[4]}; put the ARNs in place of CHANGE-ME, then rolesAnywhere: { trustAnchor, profile } into the catalogue`,
    text: [
      writeFile(trustFile(arn), `${JSON.stringify(bothPolicies(name), undefined, 2)}\n`),
      `aws iam update-assume-role-policy --role-name ${roleNameOf(arn)} --policy-document file://${trustFile(arn)}`,
      `aws rolesanywhere create-profile --name ${name} --enabled --duration-seconds ${SESSION_SECONDS} --role-arns ${arn}${narrowed}`,
    ].join('\n'),
  };
}

/** A role has one trust policy: the broker's statement stays in it. */
function bothPolicies(name: string): object {
  const { Statement, ...policy } = trustPolicy() as { Version: string; Statement: object[] };
  return {
    ...policy,
    Statement: [
      ...Statement,
      {
        Sid: 'OncallBreakGlass',
        Effect: 'Allow',
        Principal: { Service: 'rolesanywhere.amazonaws.com' },
        Action: ['sts:AssumeRole', 'sts:TagSession', 'sts:SetSourceIdentity'],
        Condition: {
          StringEquals: { 'aws:PrincipalTag/x509Subject/CN': name },
          ArnEquals: { 'aws:SourceArn': ANCHOR_PLACEHOLDER },
        },
      },
    ],
  };
}
