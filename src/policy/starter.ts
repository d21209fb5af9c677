const ACCESS = `// Who gets what, and how. Nothing is allowed that no rule permits; a forbid always wins.
// After a change: oncall broker check
//
// Every fact is { known, value, source, ageSeconds }. Look at known first: what isn't known must not open a door.
// resource is a role of a resource: resource.name, resource.rank (0 is the narrowest), resource.resourceName,
// resource.service, resource.environment, resource.sensitivity, resource.kind, resource.maxSeconds.
// One schedule's levels: context.shift.value.positions.containsAny(["orders-primary level 1", "orders-primary level 2"]).
//
// Whatever the rules say: an incident that somebody declared or reopened themself, and a shift that its source has not
// confirmed for too long, grant and extend nothing; an incident from an untrusted source grants the narrowest role alone.

@id("oncall-with-incident")
@because("you are on call for this service, and somebody else declared an incident on it")
permit (principal, action == Action::"grant", resource)
when {
  context.shift.known && context.shift.value.coversResource && context.shift.value.level <= 2 &&
  context.incident.known && context.incident.value.open && context.incident.value.matchesResource &&
  !context.incident.value.byBeneficiary &&
  resource.rank == 0 && resource.sensitivity != "high" &&
  context.request.durationSeconds <= resource.maxSeconds
};

@id("oncall-low-risk")
@because("you are on call for this service, and little can go wrong here")
permit (principal, action == Action::"grant", resource)
when {
  context.shift.known && context.shift.value.coversResource && context.shift.value.level <= 2 &&
  resource.sensitivity == "low" && resource.environment != "production" &&
  context.request.durationSeconds <= resource.maxSeconds
};

@id("oncall-asks")
@because("you are on call and an incident is open: a lead can approve this")
@chain("leads")
permit (principal, action == Action::"ask", resource)
when {
  context.shift.known && context.shift.value.coversResource &&
  context.incident.known && context.incident.value.open && context.incident.value.matchesResource &&
  context.request.durationSeconds <= resource.maxSeconds
};

// A stage of an approval chain that ends in auto-override grants nothing until a rule here permits
// Action::"auto-override": none does.

// The group named like a service is that service's team.
@id("team-asks")
@because("your team owns this service and an incident is open: a lead can approve this")
@chain("leads")
permit (principal, action == Action::"ask", resource)
when {
  principal.groups.contains(resource.service) &&
  context.incident.known && context.incident.value.open && context.incident.value.matchesResource &&
  context.request.durationSeconds <= resource.maxSeconds
};

@id("renew-while-needed")
@because("the incident is still open, or you are still on call")
permit (principal, action == Action::"renew", resource)
when {
  (context.incident.known && context.incident.value.open && context.incident.value.matchesResource) ||
  (context.shift.known && context.shift.value.coversResource)
};

@id("extend-during-incident")
@because("you are on call and the incident is still open")
permit (principal, action == Action::"extend", resource)
when {
  context.shift.known && context.shift.value.coversResource &&
  context.incident.known && context.incident.value.open && context.incident.value.matchesResource
};

// Opened without a yes, loudly and for a short time. Decided as if no vendor answered: on call is only who is so by the catalogue's
// own rotations, so the group alone has to be enough. Keep it small.
@id("break-glass")
@because("you are on call for this service, or an sre")
permit (principal, action == Action::"break-glass", resource)
when {
  resource.rank == 0 &&
  (principal in Group::"sre" || (context.shift.known && context.shift.value.coversResource))
};

// A rule on a fact that may be missing says what happens then: with "!known ||" nobody gets in while it is. Take the
// slashes away once something reports a risk score.
// @id("not-at-high-risk")
// @because("the risk score is high, or nobody knows it")
// forbid (principal, action in [Action::"grant", Action::"renew", Action::"extend"], resource)
// when { !context.risk.known || context.risk.ageSeconds > 300 || context.risk.value.score > 70 };
`;

const ADMINISTRATION = `// Who may answer for others, and who runs this installation.

// Whether somebody is on the approval chain is checked as well, by the broker.
@id("approve-for-others")
@because("you may approve what somebody else asks for")
permit (principal, action == Action::"approve", resource)
when { context.beneficiary.known && context.beneficiary.value != principal };

@id("nobody-approves-themself")
@because("nobody approves their own request")
forbid (principal, action == Action::"approve", resource)
when { !context.beneficiary.known || context.beneficiary.value == principal };

// An incident opens nothing for whoever declared it, so declaring is open to all.
@id("incidents")
@because("everybody may declare and resolve incidents")
permit (principal, action in [Action::"declare-incident", Action::"resolve-incident"], resource);

@id("admins-enrol")
@because("you are in oncall-admins")
permit (principal in Group::"oncall-admins", action in [Action::"invite", Action::"manage-device"], resource);

@id("admins-revoke")
@because("you are in oncall-admins")
permit (principal in Group::"oncall-admins", action == Action::"revoke", resource);

@id("security-revokes")
@because("you are in security")
permit (principal in Group::"security", action == Action::"revoke", resource);

@id("leads-on-call-revoke")
@because("you are a lead on call")
permit (principal in Group::"leads", action == Action::"revoke", resource)
when { context.shift.known && context.shift.value.onCall };

// The owners that the catalogue names close reviews anyway; nobody one of their own access.
@id("security-reviews")
@because("you are in security")
permit (principal in Group::"security", action == Action::"review", resource);

@id("admins-read")
@because("you are in oncall-admins")
permit (principal in Group::"oncall-admins", action in [Action::"read-audit", Action::"read-grants"], resource);

// What break-glass opened is cleaned up by then; packs from before open nothing more.
@id("security-rotates")
@because("you are in security")
permit (principal in Group::"security", action == Action::"rotate", resource);

@id("security-reads")
@because("you are in security")
permit (principal in Group::"security", action in [Action::"read-audit", Action::"read-grants"], resource);
`;

/** The policies that a new installation begins with: one Cedar file. */
export const STARTER_POLICY = `${ACCESS}\n${ADMINISTRATION}`;
