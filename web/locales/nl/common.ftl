# Het kader van elke pagina.
node-product = Licenties
root-product = Licentieservers
skip-to-content = Naar de inhoud
tabs = Pagina's
language = Taal
colours = Kleuren
colours-auto = Zoals het systeem
colours-light = Licht
colours-dark = Donker
connection-lost = De verbinding met de dienst is verbroken. Wat u ziet kan verouderd zijn; het wordt bijgewerkt zodra de dienst weer antwoordt.
back-to-start = Naar de startpagina
pager = Pagina's van de lijst
pager-range = { $first } tot en met { $last } van { $total }
pager-next = Volgende pagina
pager-first = Eerste pagina
search = Zoeken
table = Tabel, zijwaarts te schuiven
show = Tonen

# Aanmelden.
sign-in = Aanmelden
sign-in-local = Een lokale beheerder meldt zich aan met een koppeling die één keer werkt, gedurende korte tijd. Voer op de machine van de dienst uit:
sign-in-provider = Aanmelden via uw organisatie
sign-out = Afmelden
signed-in = U bent aangemeld.
role-viewer = lezer
role-administrator = beheerder

# Wat geweigerd wordt.
refused = Dit is niet gelukt
refused-sign-in-first = U bent niet aangemeld.
refused-sign-in-first-next = Meld u aan en probeer het opnieuw.
refused-link-unknown = Met deze koppeling kunt u zich niet aanmelden: deze dienst heeft haar niet gemaakt.
refused-link-unknown-next = Maak op de machine van de dienst een nieuwe en open die op tijd.
refused-link-used = Deze koppeling is al gebruikt. Ze werkt één keer.
refused-link-used-next = Was u dat niet, bekijk dan de gebeurtenissen; maak op de machine van de dienst een nieuwe koppeling.
refused-link-expired = Deze koppeling is verlopen.
refused-link-expired-next = Maak op de machine van de dienst een nieuwe en open die op tijd.
refused-not-administrator = Wie deze koppeling heeft gemaakt, is geen lokale beheerder meer.
refused-not-administrator-next = Laat het gebruikers-id toevoegen aan admin.uids en start de dienst opnieuw.
refused-administrators-only = Dit mag alleen een beheerder.
refused-administrators-only-next = Vraag een beheerder, of meld u aan als beheerder.
refused-form-forged = Dit formulier is niet vanaf een pagina van u verzonden, of u hebt zich intussen opnieuw aangemeld.
refused-form-forged-next = Ga terug, laad de pagina opnieuw en verzend het formulier nog een keer.
refused-form-invalid = Het formulier is niet volledig.
refused-form-invalid-next = Ga terug, vul aan wat ontbreekt en verzend het opnieuw.
refused-too-large = Er is te veel verzonden.
refused-too-large-next = Een licentiebestand is klein: kies het bestand dat de leverancier heeft gestuurd.
refused-not-found = Deze pagina bestaat niet.
refused-not-found-next = Misschien had ze een ander adres, of is verdwenen wat ze toonde.
refused-service = De dienst kon dit niet doen.
refused-service-next = { $message }

# Wat geweigerd wordt van wie van de aanmelddienst komt.
refused-provider-unreachable = De aanmelddienst van uw organisatie antwoordt niet.
refused-provider-unreachable-next = Probeer het over enige tijd opnieuw. Op de machine van de dienst kan een lokale beheerder een koppeling maken; in het logboek staat wat er mis is.
refused-provider-error = De aanmelddienst van uw organisatie heeft een fout gemeld.
refused-provider-error-next = Probeer het opnieuw. Blijft het zo, toon dit dan aan wie deze dienst beheert: in het logboek staat wat er is gemeld.
refused-provider-answer = Op wat de aanmelddienst van uw organisatie zegt, kan niet worden vertrouwd.
refused-provider-answer-next = Probeer het opnieuw. Blijft het zo, toon dit dan aan wie deze dienst beheert: in het logboek staat wat er mis is.
refused-provider-denied = De aanmelddienst van uw organisatie heeft u niet toegelaten, of u hebt het aanmelden afgebroken.
refused-provider-denied-next = Meld u opnieuw aan, of vraag het aan wie uw account beheert.
refused-provider-state = Dit aanmelden is niet in deze browser begonnen.
refused-provider-state-next = Meld u opnieuw aan, en open het adres van deze pagina niet met de hand.
refused-provider-used = Dit aanmelden is al eerder voltooid.
refused-provider-used-next = Meld u opnieuw aan.
refused-provider-expired = Het aanmelden heeft te lang geduurd.
refused-provider-expired-next = Meld u opnieuw aan, binnen tien minuten.
refused-provider-code = De aanmelddienst van uw organisatie aanvaardt dit aanmelden niet meer.
refused-provider-code-next = Meld u opnieuw aan.
refused-provider-role = Uw organisatie kent u, maar u hebt hier geen rol.
refused-provider-role-next = Vraag aan wie uw account beheert om de rol van lezer of beheerder van deze dienst.
