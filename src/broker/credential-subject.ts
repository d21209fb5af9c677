import type { CredentialSubject } from '../issuers/issuer.ts';
import type { CredentialRow } from '../store/rows.ts';
import type { ReadTx } from '../store/store.ts';
import { resourceOf } from './target-snapshot.ts';

/** What an issuer needs to know of a credential, from the store alone: the catalogue may have changed since. */
export async function subjectOf(tx: ReadTx, credential: CredentialRow): Promise<CredentialSubject> {
  const grant = await tx.grant(credential.grantId);
  const incidents = await tx.incidentsOf(credential.grantId);
  return {
    credentialId: credential.id,
    grantId: credential.grantId,
    user: grant?.user ?? '',
    resource: resourceOf(credential.target),
    role: grant?.role ?? '',
    incident: incidents[0],
  };
}
