-- All that is kept of somebody, so many rows of a kind at most, newest first. No hashes, no secrets; of messages no
-- bodies either, as codes stand in them, which must be read where they were sent to.
select json_build_object(
    'account', json_build_object(
        'userId', u.id, 'email', u.email, 'emailVerifiedAt', u.email_verified_at, 'login', u.login, 'phone', u.phone,
        'firstName', u.first_name, 'lastName', u.last_name, 'language', u.language, 'smsUpdates', u.sms_updates, 'role', u.role,
        'createdAt', u.created_at),
    'consent', json_build_object('at', u.consent_at, 'textVersion', u.consent_version),
    'sessions', (
        select coalesce(json_agg(s), '[]') from (
            select r.created_at as "createdAt", r.expires_at as "expiresAt", r.used_at as "usedAt"
            from refresh_tokens r where r.user_id = u.id order by r.created_at desc limit $2) s),
    'secondFactor', (
        select json_build_object('createdAt', f.created_at, 'confirmedAt', f.confirmed_at)
        from second_factors f where f.user_id = u.id),
    'codes', (
        select coalesce(json_agg(c), '[]') from (
            select c.purpose, c.channel, c.target, c.new_value as "newValue", c.created_at as "createdAt"
            from codes c where c.user_id = u.id order by c.created_at desc limit $2) c),
    'changes', (
        select coalesce(json_agg(c), '[]') from (
            select c.field, c.told, c.hint, c.changed_at as "changedAt"
            from account_changes c where c.user_id = u.id order by c.changed_at desc limit $2) c),
    'bookings', (
        select coalesce(json_agg(b), '[]') from (
            select b.id, b.event_id as "eventId", b.status, b.created_at as "createdAt", b.closed_at as "closedAt"
            from bookings b where b.user_id = u.id order by b.created_at desc limit $2) b),
    'orders', (
        select coalesce(json_agg(o), '[]') from (
            select o.id, o.status, o.currency, o.total_minor as "total", o.created_at as "createdAt",
                o.paid_at as "paidAt", host(o.ip) as ip,
                (select coalesce(json_agg(json_build_object('id', i.id, 'eventId', i.event_id, 'place', i.place,
                     'tier', i.tier_name, 'price', i.price_minor, 'status', i.status) order by i.id), '[]')
                 from order_items i where i.order_id = o.id) as items,
                (select coalesce(json_agg(json_build_object('id', p.id, 'provider', p.provider, 'status', p.status,
                     'amount', p.amount_minor, 'createdAt', p.created_at) order by p.id), '[]')
                 from payments p where p.order_id = o.id) as payments,
                (select coalesce(json_agg(json_build_object('id', r.id, 'amount', r.amount_minor, 'reason', r.reason,
                     'status', r.status, 'createdAt', r.created_at) order by r.id), '[]')
                 from refunds r where r.order_id = o.id) as refunds
            from orders o where o.user_id = u.id order by o.created_at desc limit $2) o),
    'requests', (
        select coalesce(json_agg(q), '[]') from (
            select q.event_id as "eventId", q.status, q.code, q.decided_at as "decidedAt", host(q.ip) as ip
            from job_outcomes q where q.user_id = u.id order by q.decided_at desc limit $2) q),
    'tickets', (
        select coalesce(json_agg(t), '[]') from (
            select t.id, t.number, t.event_id as "eventId", t.status, t.issued_at as "issuedAt", t.used_at as "usedAt"
            from tickets t where t.user_id = u.id order by t.issued_at desc limit $2) t),
    'messages', (
        select coalesce(json_agg(m), '[]') from (
            select m.channel, m.kind, m.sent_at as "sentAt"
            from messages_sent m where m.user_id = u.id order by m.sent_at desc limit $2) m),
    'mailbox', (
        select coalesce(json_agg(m), '[]') from (
            select m.channel, m.recipient as "to", m.kind, m.subject, m.attachments, m.sent_at as "sentAt"
            from mailbox m where m.user_id = u.id order by m.id desc limit $2) m),
    'audit', (
        select coalesce(json_agg(a), '[]') from (
            select a.at, host(a.ip) as ip, a.action, a.object, a.result
            from audit_log a where a.user_id = u.id order by a.at desc limit $2) a)
)::text as data
from users u
where u.id = $1 and u.erased_at is null
