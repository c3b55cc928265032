# Sammanfattning.
fleet = Licensservrar
all-nodes = totalt
state-current = giltiga
state-month = en månad kvar
state-week = en vecka kvar
state-expired = utgångna
state-revoked = återkallade
state-decommissioned = avvecklade
own-certificate = Den här utfärdaren:
no-authority = Den här utfärdaren har inget certifikat ännu.
valid-until = Giltigt till

# Vad alla måste se.
authority-off-NOT_ENROLLED = Den här roten har ännu inget eget certifikat: den registrerar och förnyar ingen.
authority-off-NOT_ENROLLED-next = Ta dess begäran till den överordnade roten: root-service authority export-request, eller authority upstream.
authority-off-CERTIFICATE_REVOKED = Den här rotens certifikat har återkallats av den överordnade roten: den registrerar och förnyar ingen.
authority-off-CERTIFICATE_REVOKED-next = Be den överordnade roten om en ny token och kör sedan root-service authority upstream.
authority-off-AUTHORITY_EXPIRED = Den här rotens certifikat gick ut { $not_after }: den registrerar och förnyar ingen.
authority-off-AUTHORITY_EXPIRED-next = Kör root-service authority renew.
authority-off-CERTIFICATE_NOT_YET_VALID = Datorns klocka går före början på den här rotens giltighetstid: den registrerar och förnyar ingen.
authority-off-CERTIFICATE_NOT_YET_VALID-next = Ställ klockan rätt.
authority-month = Den här rotens certifikat går ut { $not_after }, om högst en månad.
authority-month-next = Kör root-service authority renew i god tid.
authority-week = Den här rotens certifikat går ut { $not_after }, om högst en vecka.
authority-week-next = Kör root-service authority renew nu.

# Efter återstående tid.
by-expiry = Licensservrar efter återstående tid
bucket-expired = utgångna
bucket-1w = < 1 vecka
bucket-1m = < 1 mån
bucket-3m = < 3 mån
bucket-6m = < 6 mån
bucket-12m = < 12 mån
bucket-longer = längre
bucket-expired-title = utgångna
bucket-1w-title = mindre än en vecka kvar
bucket-1m-title = en vecka till en månad kvar
bucket-3m-title = en till tre månader kvar
bucket-6m-title = tre till sex månader kvar
bucket-12m-title = sex till tolv månader kvar
bucket-longer-title = tolv månader eller mer kvar
bucket-title = { $label }: { $count }

# Förnyelse.
renewals = Förnyelse
renewal = Förnyelse
none-overdue = alla har förnyats i tid
some-overdue = { $count ->
    [one] { $shown } borde ha förnyats vid det här laget
   *[other] { $shown } borde ha förnyats vid det här laget
}
overdue = försenad
due = förnyas nu
not-due = i tid
renewed-day = förnyade de senaste 24 timmarna
renewed-week = förnyade de senaste 7 dagarna
refused-renewals = nekade sedan tjänsten startade
renewal-window = Bör förnyas

# Tabellen.
nodes-by-expiry = Efter utgångsdatum
show-all = Visa alla
search-nodes = Namn, ägare eller serienummer
no-nodes = Ingen licensserver har registrerats hos den här roten ännu.
nothing-found = Ingen licensserver stämmer med detta.
nodes-read = Licensservrarna läses in: { $count } hittills.
nodes-failed = Licensservrarna kan inte läsas: se tjänstens logg. Ett nytt försök görs.
node = Namn
owner = Ägare
serial = Serienummer
time-to-expiry = Tid kvar
last-issued = Senaste förnyelse
kind = Slag
kind-server = licensserver
kind-root = rot
pager-back = Föregående sida
pager-newest = Senaste
pager-older = Äldre
time-left = { $span }
time-over = för { $span } sedan
span-seconds = { $count ->
    [one] { $shown } sekund
   *[other] { $shown } sekunder
}
span-minutes = { $count ->
    [one] { $shown } minut
   *[other] { $shown } minuter
}
span-hours = { $count ->
    [one] { $shown } timme
   *[other] { $shown } timmar
}
span-days = { $count ->
    [one] { $shown } dag
   *[other] { $shown } dagar
}

# Detaljer.
details = Detaljer
close-details = Stäng detaljerna
enrolled = Registrerad
addresses = Adresser
certificates = Certifikat
standing = Läge
certificate-current = giltigt
certificate-superseded = ersatt
certificate-expired = utgånget
certificate-revoked = återkallat

# Händelser.
recent-events = Händelser
events-of-node = Serverns händelser
events-all = Visa alla
events-warnings = Bara varningar och fel
no-events = Ingenting har hänt.
none-among-newest = Ingen av de nyaste händelserna är sådan; äldre kan vara det.
no-recent-events = Ingenting bland de senaste händelserna.
severity-info = information
severity-warning = varning
severity-error = fel
happened-at = Tidpunkt
caused-by = Orsakad av
by-service = tjänsten
ended = Avslutad
still-active = fortfarande aktiv
event-number = Händelse
