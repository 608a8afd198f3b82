-- The seats of a layout for an event whose sections and tiers are there, in the layout's order. $1 event; $2 layout
insert into seats (event_id, section_id, tier_id, row_label, row_position, seat_label, seat_position, x, y)
select $1, s.id, t.id, r.line ->> 'label', r.n, c.seat ->> 'label', c.n, (c.seat ->> 'x')::real,
    (c.seat ->> 'y')::real
from venue_layouts l
cross join lateral jsonb_array_elements(l.document -> 'sections') with ordinality as b (section, n)
join sections s on s.event_id = $1 and s.name = b.section ->> 'name'
cross join lateral jsonb_array_elements(b.section -> 'rows') with ordinality as r (line, n)
cross join lateral jsonb_array_elements(r.line -> 'seats') with ordinality as c (seat, n)
join price_tiers t on t.event_id = $1 and t.name = c.seat ->> 'tier'
where l.id = $2
order by b.n, r.n, c.n
