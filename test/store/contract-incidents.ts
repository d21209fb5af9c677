import { describe, expect, it } from 'vitest';
import type { StoreContext } from './contract.ts';
import { sampleIncident, T0, unique } from './sample-rows.ts';

export function incidentContract(context: StoreContext): void {
  describe('incidents', () => {
    it('filters by state, service and source, newest first, up to the limit', async () => {
      const { store } = context;
      const service = unique('service');
      const source = unique('pagerduty');
      const rows = [0, 1, 2].map((n) => sampleIncident({ source, service, startedAt: T0 + n }));
      await store.write(async (tx) => {
        for (const row of rows) await tx.insertIncident(row);
        await tx.insertIncident(sampleIncident());
        await tx.updateIncident(rows[1]!.id, { state: 'resolved', resolvedAt: T0 + 9, resolvedBy: 'ada' });
      });
      const ids = async (filter: { state?: 'open' | 'resolved'; limit?: number }) =>
        (await store.read((tx) => tx.incidents({ service, limit: 10, ...filter }))).map(({ id }) => id);
      expect(await ids({})).toEqual([rows[2]!.id, rows[1]!.id, rows[0]!.id]);
      expect(await ids({ limit: 1 })).toEqual([rows[2]!.id]);
      expect(await ids({ state: 'open' })).toEqual([rows[2]!.id, rows[0]!.id]);
      expect(await ids({ state: 'resolved' })).toEqual([rows[1]!.id]);
      const ofSource = await store.read((tx) => tx.incidents({ source, state: 'open', limit: 9 }));
      expect(ofSource).toEqual([rows[2], rows[0]]);
      expect(await store.read((tx) => tx.incident(rows[1]!.id))).toMatchObject({ resolvedBy: 'ada' });
    });

    it("gives an incident of an outside system back as it was stored, by its id and by the system's", async () => {
      const { store } = context;
      const incident = sampleIncident({
        source: 'pagerduty',
        state: 'resolved',
        service: '',
        declaredBy: '',
        title: '\u202e"; drop table incidents; --',
        labels: { 'alert name': "it's \u0000 down", empty: '' },
        confirmedAt: T0 + 1,
        changedAt: T0 + 2,
        resolvedAt: T0 + 2,
        resolvedBy: 'ada',
        reopenedBy: 'grace',
      });
      await store.write((tx) => tx.insertIncident(incident));
      await store.read(async (tx) => {
        expect(await tx.incident(incident.id)).toEqual(incident);
        expect(await tx.incidentByExternalId('pagerduty', incident.externalId)).toEqual(incident);
        expect(await tx.incidentByExternalId('rootly', incident.externalId)).toBeUndefined();
        expect(await tx.incidentByExternalId('pagerduty', incident.id)).toBeUndefined();
      });
      expect(await store.write((tx) => tx.lockIncident(incident.id))).toEqual(incident);
      expect(await store.write((tx) => tx.lockIncident('P1-none'))).toBeUndefined();
    });

    it('refuses an id that is taken, and an outside id within its source alone', async () => {
      const { store } = context;
      const incident = sampleIncident({ source: 'pagerduty' });
      const { id, externalId } = incident;
      const insert = (change: Parameters<typeof sampleIncident>[0]) =>
        store.write((tx) => tx.insertIncident(sampleIncident(change)));
      await store.write((tx) => tx.insertIncident(incident));
      await expect(insert({ id, source: 'rootly' })).rejects.toMatchObject({ code: 'conflict' });
      await expect(insert({ externalId, source: 'pagerduty' })).rejects.toMatchObject({ code: 'conflict' });
      await insert({ externalId, source: 'rootly' });
    });

    it('finds incidents by what people type: ids and aliases of any source, newest first', async () => {
      const { store } = context;
      const [typed, mine] = [unique('#4711'), unique('https://x.example.com/incidents')];
      const byId = sampleIncident({ id: typed, startedAt: T0 + 2 });
      const byAlias = sampleIncident({ source: 'pagerduty', startedAt: T0 + 1 });
      const byBoth = sampleIncident({ source: 'rootly', startedAt: T0 + 3 });
      await store.write(async (tx) => {
        for (const row of [byId, byAlias, byBoth]) await tx.insertIncident(row);
        await tx.addIncidentAliases(byAlias.id, [typed, mine]);
        await tx.addIncidentAliases(byAlias.id, [mine, unique('later'), mine]);
        await tx.addIncidentAliases(byAlias.id, []);
        await tx.addIncidentAliases(byBoth.id, [typed, byBoth.id]);
      });
      const found = (alias: string, limit = 9) => store.read((tx) => tx.incidentsByAlias(alias, limit));
      expect(await found(typed)).toEqual([byBoth, byId, byAlias]);
      expect(await found(typed, 2)).toEqual([byBoth, byId]);
      expect(await found(mine)).toEqual([byAlias]);
      expect(await found(byBoth.id)).toEqual([byBoth]);
      expect(await found(byAlias.externalId)).toEqual([]);
      expect(await found(unique('nothing'))).toEqual([]);
    });

    it('lose no word about them to another that comes at the same time', async () => {
      const { store, other } = await context.fresh();
      const stores = [store, await other.open()];
      const incident = sampleIncident({ assignees: [] });
      await store.write((tx) => tx.insertIncident(incident));
      const tell = (n: number) =>
        stores[n % 2]!.write(async (tx) => {
          const found = await tx.lockIncident(incident.id);
          const assignees = [...(found!.assignees as number[]), n];
          await tx.updateIncident(incident.id, { assignees });
        });
      await Promise.all(Array.from({ length: 30 }, (_, n) => tell(n)));
      const found = await store.read((tx) => tx.incident(incident.id));
      expect(found!.assignees).toHaveLength(30);
    });

    it('takes no alias for an incident that does not exist', async () => {
      const add = context.store.write((tx) => tx.addIncidentAliases('P1-none', ['#1']));
      await expect(add).rejects.toMatchObject({ code: 'internal' });
    });
  });
}
