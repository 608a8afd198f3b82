-- Seats at the ends of their rows, and rows at the ends of their sections, in the order in which they are given.
-- $1 event; by column: $2 sections, $3 rows, $4 labels, $5 tiers, $6 x and $7 y or null
with asked as (
    select a.*, c.id as section_id
    from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::real[], $7::real[])
        with ordinality as a (section, line, label, tier, x, y, n)
    join sections c on c.event_id = $1 and c.name = a.section
), lines as (
    select section_id, line, min(n) as first from asked group by section_id, line
), known as (
    select l.section_id, l.line, l.first, max(s.row_position) as at, coalesce(max(s.seat_position), 0) as last
    from lines l left join seats s on s.section_id = l.section_id and s.row_label = l.line
    group by l.section_id, l.line, l.first
), placed as (
    -- A row that is new comes after all that its section has.
    select k.section_id, k.line, k.last,
        coalesce(k.at, row_number() over (partition by k.section_id, k.at is null order by k.first)
            + coalesce((select max(s.row_position) from seats s where s.section_id = k.section_id), 0)) as at
    from known k
), numbered as (
    select a.*, p.at, p.last + row_number() over (partition by a.section_id, a.line order by a.n) as nth
    from asked a join placed p on p.section_id = a.section_id and p.line = a.line
)
insert into seats (event_id, section_id, tier_id, row_label, row_position, seat_label, seat_position, x, y)
select $1, m.section_id, t.id, m.line, m.at, m.label, m.nth, coalesce(m.x, m.nth * 20), coalesce(m.y, m.at * 24)
from numbered m join price_tiers t on t.event_id = $1 and t.name = m.tier
order by m.n
returning id
