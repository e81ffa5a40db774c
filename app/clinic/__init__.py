"""Pictures and reports in the formats that clinics use; imported only where it is switched on."""
